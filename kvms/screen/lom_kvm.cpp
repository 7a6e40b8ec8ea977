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

struct FontFiles {
    std::string video_bios = "/usr/share/seabios/vgabios-stdvga.bin";
    std::string qemu = "/usr/bin/qemu-system-x86_64";
    std::string uefi = "/usr/share/OVMF/OVMF_CODE_4M.fd";
};

/// Those that are found; the first is for the SP's own pictures and may be empty. A host without
/// UEFI needs no font of it.
std::vector<Font> fonts_of(const FontFiles& files) {
    std::vector<Font> fonts;
    const auto add = [&fonts](lom::Result<Font> font) {
        if (font)
            fonts.push_back(std::move(*font));
    };
    if (const auto bios = lom::read_file(files.video_bios))
        for (const int height : {16, 14, 8})
            add(Font::of_vga(*bios, height));
    if (fonts.empty()) {
        complain("There are no fonts in " + files.video_bios + "; text modes cannot be read.");
        fonts.emplace_back();
    }
    if (const auto qemu = lom::read_file(files.qemu))
        add(Font::of_vga(*qemu, 16));
    if (const auto uefi = lom::read_file(files.uefi))
        add(Font::from_uefi(*uefi));
    return fonts;
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    int control_fd = -1;
    std::string host = "host";
    FontFiles files;
    CLI::App app("Shows one host's screen to VNC viewers; started by lomd.", "lom-kvm");
    app.set_version_flag("--version", "lom-kvm " LOM_VERSION);
    app.add_option("--control-fd", control_fd, "Listening socket for lomd")->required();
    app.add_option("--host", host, "Its name");
    app.add_option("--video-bios", files.video_bios, "Has the fonts of text modes");
    app.add_option("--qemu", files.qemu, "Has the font of Linux's frame buffer console");
    app.add_option("--uefi", files.uefi, "Has the font of UEFI's console");
    CLI11_PARSE(app, argc, argv);
    lom::Loop loop;
    const lom::kvms::ScreenProcess screen(loop, lom::UniqueFd(control_fd), host, fonts_of(files));
    if (const auto confined = lom::kvms::confine(); !confined)
        return complain(confined.fault().message);
    loop.run();
    return 0;
}
