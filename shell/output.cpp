#include "shell/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace lom::shell {

bool write_all(int fd, std::string_view bytes, bool (*stop)()) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(count));
            continue;
        }
        if (errno == EINTR && (!stop || !stop()))
            continue;
        pollfd entry{fd, POLLOUT, 0};
        if (errno != EAGAIN || poll(&entry, 1, -1) < 0)
            return false;
    }
    return true;
}

} // namespace lom::shell
