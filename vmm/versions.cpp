#include "vmm/versions.h"

#include "base/fd.h"
#include "base/files.h"
#include "base/process.h"
#include "vmm/command_line.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <regex>
#include <signal.h>

namespace lom::vmm {

namespace {

constexpr const char* seabios_image = "/usr/share/seabios/bios-256k.bin";
constexpr int patience_ms = 5000;

/// What the program prints, 4 KiB at most. Runs in the pool: it blocks.
std::string output_of(const std::vector<std::string>& argv) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return {};
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const auto process = spawn({.argv = argv, .fds = {{writer.get(), 1}}});
    writer.reset();
    if (!process)
        return {};
    std::string text;
    std::array<char, 4096> buffer;
    for (pollfd wait{reader.get(), POLLIN, 0}; text.size() < buffer.size();) {
        if (poll(&wait, 1, patience_ms) <= 0)
            break;
        const ssize_t count = read(reader.get(), buffer.data(), buffer.size());
        if (count <= 0)
            break;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    send_signal(*process, SIGKILL);
    waitpid(process->pid, nullptr, 0);
    return text;
}

std::string first_match(const std::string& text, const std::string& pattern) {
    std::smatch match;
    return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : "";
}

/// SeaBIOS has its version in plain text in the image.
std::string seabios_version() {
    const auto image = read_file(seabios_image);
    const std::string version =
        image
            ? first_match(
                  *image,
                  R"((rel-[0-9]+\.[0-9]+\.[0-9]+[0-9a-z.-]*|[0-9]+\.[0-9]+\.[0-9]+-debian[0-9a-z.-]*))")
            : "";
    return version.empty() ? "SeaBIOS" : "SeaBIOS " + version;
}

} // namespace

std::shared_ptr<const Versions> read_versions(Loop& loop, const std::string& qemu) {
    auto found = std::make_shared<Versions>();
    auto read = std::make_shared<Versions>();
    loop.in_pool(
        [read, qemu] {
            read->qemu = first_match(output_of({qemu, "--version"}), R"(version ([^\n]+))");
            read->bios = seabios_version();
            read->uefi = std::filesystem::exists(uefi_code)
                             ? "OVMF (" + std::filesystem::path(uefi_code).filename().string() + ")"
                             : "";
        },
        [found, read] { *found = *read; });
    return found;
}

} // namespace lom::vmm
