#include "shell/save_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace lom::shell {

namespace {

constexpr std::string_view scheme = "file://";
constexpr off_t longest = 256 << 20;

} // namespace

Result<void> save_file(const UniqueFd& content, const std::string& destination, bool overwrite) {
    if (!destination.starts_with(scheme) || destination.size() == scheme.size() ||
        destination[scheme.size()] != '/')
        return Fault{FaultKind::usage,
                     "The destination is file:///PATH on the machine where lom runs."};
    const std::string path = destination.substr(scheme.size());
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (overwrite ? O_TRUNC : O_EXCL);
    const UniqueFd file(open(path.c_str(), flags, 0600));
    if (!file && errno == EEXIST)
        return Fault{FaultKind::wrong_state, path + " exists; -force overwrites it."};
    const auto failed = [&path] {
        return Fault{FaultKind::unavailable, "Cannot write " + path + ": " + std::strerror(errno)};
    };
    if (!file)
        return failed();
    std::vector<char> block(1U << 20U);
    for (off_t at = 0; at < longest;) {
        const ssize_t count = pread(content.get(), block.data(), block.size(), at);
        if (count == 0)
            return {};
        if (count < 0 || write(file.get(), block.data(), static_cast<std::size_t>(count)) != count)
            return failed();
        at += count;
    }
    return Fault{FaultKind::unavailable, "The file is too large."};
}

} // namespace lom::shell
