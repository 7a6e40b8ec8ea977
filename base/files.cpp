#include "base/files.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace lom {

namespace {

Fault file_fault(const std::string& what, const std::string& path) {
    return {FaultKind::internal, what + " " + path + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t count = write(fd, content.data(), content.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

enum class Sync { no, yes };

Result<void> replace(const std::string& path, const std::string& content, mode_t mode, Sync sync) {
    const std::string temporary = path + ".new";
    const UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd || !write_all(fd.get(), content) || (sync == Sync::yes && fsync(fd.get()) < 0)) {
        Fault fault = file_fault("Cannot write", path);
        unlink(temporary.c_str());
        return fault;
    }
    if (rename(temporary.c_str(), path.c_str()) < 0)
        return file_fault("Cannot replace", path);
    return {};
}

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

Result<std::string> read_file(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return file_fault("Cannot read", path);
    std::string content;
    std::array<char, 16384> buffer; // NOLINT: filled by read
    for (;;) {
        const ssize_t count = read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return file_fault("Cannot read", path);
        if (count == 0)
            return content;
        content.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

Result<void> write_file_durably(const std::string& path, const std::string& content, mode_t mode) {
    if (const auto replaced = replace(path, content, mode, Sync::yes); !replaced)
        return replaced;
    const UniqueFd folder(open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || fsync(folder.get()) < 0)
        return file_fault("Cannot sync the folder of", path);
    return {};
}

Result<void> replace_file(const std::string& path, const std::string& content, mode_t mode) {
    return replace(path, content, mode, Sync::no);
}

Result<void> make_directories(const std::string& path, mode_t mode) {
    for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (mkdir(part.c_str(), mode) < 0 && errno != EEXIST)
            return file_fault("Cannot make the folder", part);
        if (slash == std::string::npos)
            return {};
    }
}

} // namespace lom
