// lom-kvm: one host's screen, for any number of viewers. lomd starts it and it outlives lomd.
#include "base/fd.h"
#include "kvms/screen/confinement.h"
#include "kvms/screen/screen_process.h"

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace {

int complain(const std::string& sentence) {
    std::fprintf(stderr, "lom-kvm: %s\n", sentence.c_str());
    return 4;
}

using lom::kvms::Font;

/// A file as it was when lom-kvm could still open it; costs nothing before it is read.
class MappedFile {
  public:
    explicit MappedFile(const std::string& path) {
        const lom::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat facts {};
        if (!fd || fstat(fd.get(), &facts) < 0 || facts.st_size <= 0)
            return;
        const auto size = static_cast<std::size_t>(facts.st_size);
        void* start = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
        if (start != MAP_FAILED)
            bytes_ = {static_cast<const char*>(start), size};
    }
    ~MappedFile() {
        if (!bytes_.empty())
            munmap(const_cast<char*>(bytes_.data()), bytes_.size());
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    std::string_view bytes() const { return bytes_; }

  private:
    std::string_view bytes_;
};

/// Of text modes, which the SP's own pictures have too.
std::vector<Font> text_mode_fonts(const std::string& path) {
    std::vector<Font> fonts;
    const MappedFile bios(path);
    for (const int height : {16, 14, 8})
        if (auto font = Font::of_vga(bios.bytes(), height))
            fonts.push_back(std::move(*font));
    if (fonts.empty())
        complain("There are no fonts in " + path + "; text modes cannot be read.");
    return fonts;
}

/// Of consoles in graphics modes. To find them takes a tenth of a second: not before they count.
std::function<std::vector<Font>()> graphics_fonts(const std::string& qemu_path,
                                                  const std::string& uefi_path) {
    return [qemu = std::make_shared<MappedFile>(qemu_path),
            uefi = std::make_shared<MappedFile>(uefi_path)] {
        std::vector<Font> fonts;
        if (auto font = Font::of_vga(qemu->bytes(), 16))
            fonts.push_back(std::move(*font));
        if (auto font = Font::from_uefi(uefi->bytes()))
            fonts.push_back(std::move(*font));
        return fonts;
    };
}

} // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    int control_fd = -1;
    std::string host = "host";
    std::string video_bios = "/usr/share/seabios/vgabios-stdvga.bin";
    std::string qemu = "/usr/bin/qemu-system-x86_64";
    std::string uefi = "/usr/share/OVMF/OVMF_CODE_4M.fd";
    CLI::App app("Shows one host's screen to VNC viewers; started by lomd.", "lom-kvm");
    app.set_version_flag("--version", "lom-kvm " LOM_VERSION);
    app.add_option("--control-fd", control_fd, "Listening socket for lomd")->required();
    app.add_option("--host", host, "Its name");
    app.add_option("--video-bios", video_bios, "Has the fonts of text modes");
    app.add_option("--qemu", qemu, "Has the font of Linux's frame buffer console");
    app.add_option("--uefi", uefi, "Has the font of UEFI's console");
    CLI11_PARSE(app, argc, argv);
    lom::Loop loop;
    const lom::kvms::ScreenProcess screen(
        loop, lom::UniqueFd(control_fd), host,
        {text_mode_fonts(video_bios), graphics_fonts(qemu, uefi)});
    if (const auto confined = lom::kvms::confine(); !confined)
        return complain(confined.fault().message);
    loop.run();
    return 0;
}
