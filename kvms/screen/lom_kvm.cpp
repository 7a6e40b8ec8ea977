// lom-kvm: one host's screen, for any number of viewers. lomd starts it and it outlives lomd.
#include "base/files.h"
#include "kvms/screen/confinement.h"
#include "kvms/screen/screen_process.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>

namespace {

int complain(const std::string& sentence) {
    std::fprintf(stderr, "lom-kvm: %s\n", sentence.c_str());
    return 4;
}

lom::kvms::Font font_of(const std::string& path) {
    const auto bios = lom::read_file(path);
    auto font = bios ? lom::kvms::Font::from_video_bios(*bios) : bios.fault();
    if (font)
        return *font;
    complain(font.fault().message + " Screens cannot be read as text.");
    return {};
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    int control_fd = -1;
    std::string host = "host";
    std::string bios = "/usr/share/seabios/vgabios-stdvga.bin";
    CLI::App app("Shows one host's screen to VNC viewers; started by lomd.", "lom-kvm");
    app.set_version_flag("--version", "lom-kvm " LOM_VERSION);
    app.add_option("--control-fd", control_fd, "Listening socket for lomd")->required();
    app.add_option("--host", host, "Its name");
    app.add_option("--video-bios", bios, "Where the font is taken from");
    CLI11_PARSE(app, argc, argv);
    lom::Loop loop;
    const lom::kvms::ScreenProcess screen(loop, lom::UniqueFd(control_fd), host, font_of(bios));
    if (const auto confined = lom::kvms::confine(); !confined)
        return complain(confined.fault().message);
    loop.run();
    return 0;
}
