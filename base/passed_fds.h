// Unix sockets over which descriptors come and go along with bytes. Any thread; blocks only where
// `Waiting::yes` says so. A message has at most four descriptors.
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

enum class Waiting { no, yes };

/// At most `most` descriptors, closed on exec; further ones are dropped by the kernel.
Received receive_with_fds(int socket, std::span<char> buffer, std::size_t most,
                          Waiting waiting = Waiting::no);
/// As sendmsg(2) answers, with errno. No SIGPIPE.
ssize_t send_with_fds(int socket, std::span<const char> bytes, std::span<const int> fds,
                      Waiting waiting = Waiting::no);

} // namespace lom
