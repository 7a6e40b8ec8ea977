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

using lom::kvms::Font;

/// Those that are found; the first is for the SP's own pictures and may be empty.
std::vector<Font> fonts_of(const std::string& video_bios, const std::string& uefi) {
    std::vector<Font> fonts;
    const auto bios = lom::read_file(video_bios);
    for (const int height : {16, 14, 8}) {
        auto font = bios ? Font::from_video_bios(*bios, height) : bios.fault();
        if (font)
            fonts.push_back(std::move(*font));
        else
            complain(font.fault().message + " Some screens cannot be read as text.");
    }
    if (fonts.empty())
        fonts.emplace_back();
    // The package is there where hosts have UEFI.
    if (const auto firmware = lom::read_file(uefi))
        if (auto font = Font::from_uefi(*firmware))
            fonts.push_back(std::move(*font));
    return fonts;
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    int control_fd = -1;
    std::string host = "host";
    std::string bios = "/usr/share/seabios/vgabios-stdvga.bin";
    std::string uefi = "/usr/share/OVMF/OVMF_CODE_4M.fd";
    CLI::App app("Shows one host's screen to VNC viewers; started by lomd.", "lom-kvm");
    app.set_version_flag("--version", "lom-kvm " LOM_VERSION);
    app.add_option("--control-fd", control_fd, "Listening socket for lomd")->required();
    app.add_option("--host", host, "Its name");
    app.add_option("--video-bios", bios, "Where the fonts of text modes are taken from");
    app.add_option("--uefi", uefi, "Where the font of UEFI's console is taken from");
    CLI11_PARSE(app, argc, argv);
    lom::Loop loop;
    const lom::kvms::ScreenProcess screen(loop, lom::UniqueFd(control_fd), host,
                                          fonts_of(bios, uefi));
    if (const auto confined = lom::kvms::confine(); !confined)
        return complain(confined.fault().message);
    loop.run();
    return 0;
}
