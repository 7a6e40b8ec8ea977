#include "kvms/console/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lom::kvms {

namespace {

Fault fault(FaultKind kind, const std::string& what, const std::string& path, int error) {
    return {kind, what + " " + path + ": " + std::strerror(error) + "."};
}

off_t as_offset(std::uint64_t value) { return static_cast<off_t>(value); }

} // namespace

LogFile::LogFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {
    // What was punched out before a restart is a hole at the front. ENXIO: nothing but a hole.
    const off_t data = lseek(fd_.get(), 0, SEEK_DATA);
    if (data >= 0)
        start_ = static_cast<std::uint64_t>(data);
    else if (errno == ENXIO)
        start_ = end();
    reserved_end_ = end();
}

Result<LogFile> LogFile::open(const std::string& path) {
    // O_NOFOLLOW and the type check: QEMU may own the folder, and QEMU is not trusted.
    UniqueFd fd(::open(path.c_str(),
                       O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd)
        return fault(FaultKind::unavailable, "Cannot open the console log", path, errno);
    struct stat status {};
    if (fstat(fd.get(), &status) < 0 || !S_ISREG(status.st_mode))
        return Fault{FaultKind::unavailable,
                     "The console log " + path + " is not a plain file; move it out of the way."};
    return LogFile(path, std::move(fd));
}

std::uint64_t LogFile::end() const {
    struct stat status {};
    return fstat(fd_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : start_;
}

std::size_t LogFile::read(std::uint64_t offset, std::span<char> buffer) const {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t count =
            pread(fd_.get(), buffer.data() + done, buffer.size() - done, as_offset(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += static_cast<std::size_t>(count);
    }
    return done;
}

Result<void> LogFile::append(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(fd_.get(), text.data(), text.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return fault(FaultKind::internal, "Cannot write the console log", path_, errno);
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Result<void> LogFile::trim(std::uint64_t keep) {
    const std::uint64_t newest = end();
    if (newest < start_ + keep + step)
        return {};
    const std::uint64_t new_start = (newest - keep) / step * step;
    const std::uint64_t hole = start_ / step * step;
    if (fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, as_offset(hole),
                  as_offset(new_start - hole)) < 0)
        return fault(FaultKind::internal, "Cannot shorten the console log", path_, errno);
    start_ = new_start;
    return {};
}

LogFile::Space LogFile::reserve() {
    const std::uint64_t newest = end();
    if (newest + step / 2 <= reserved_end_)
        return Space::reserved;
    const std::uint64_t wanted = (newest / step + 2) * step;
    if (fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, as_offset(newest), as_offset(wanted - newest)) ==
        0) {
        reserved_end_ = wanted;
        return Space::reserved;
    }
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return full ? Space::full : Space::unknown;
}

} // namespace lom::kvms
