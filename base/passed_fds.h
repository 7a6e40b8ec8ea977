// Reading from a unix socket over which descriptors come along. Any thread; never blocks.
#pragma once

#include "base/fd.h"

#include <cstddef>
#include <span>
#include <vector>

#include <sys/types.h>

namespace lom {

struct Received {
    ssize_t count = -1; ///< as recvmsg(2) gives it, with errno
    std::vector<UniqueFd> fds;
};

/// At most `most` descriptors, closed on exec; further ones are dropped by the kernel.
Received receive_with_fds(int socket, std::span<char> buffer, std::size_t most);

} // namespace lom
