// A connected, non-blocking byte stream on the loop, with a bounded queue of outgoing bytes and
// descriptors passed beside them (unix sockets). Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom {

class Stream {
  public:
    struct Handlers {
        /// Bytes as they came; `fds` came with them (owned by the receiver).
        std::function<void(std::string_view bytes, std::vector<UniqueFd> fds)> data;
        /// The peer closed, an error struck, or the outgoing queue went over its limit. Comes once;
        /// the Stream may be destroyed inside it.
        std::function<void(const std::string& reason)> closed;
        /// The kernel took the last of bytes that had to wait.
        std::function<void()> drained;
    };
    static constexpr std::size_t default_queue_limit = 4U << 20U;

    Stream(Loop& loop, UniqueFd fd, Handlers handlers,
           std::size_t queue_limit = default_queue_limit);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Queues bytes; `fds` go with the first of them and are closed here after sending.
    void send(std::string bytes, std::vector<UniqueFd> fds = {});
    /// Bytes not yet taken by the kernel.
    std::size_t queued() const;
    /// Stops or resumes reading (back-pressure towards the peer).
    void pause(bool paused);
    int fd() const;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

/// Connects to a listening unix socket without blocking. Fault: unavailable, with the cause.
Result<UniqueFd> connect_unix(const std::string& path);
/// The process that listens at the unix socket, as the kernel remembers it; nullopt: none does.
std::optional<ProcessId> listener_at(const std::string& path);
/// Binds and listens, replacing a stale socket file; mode is applied to the file.
Result<UniqueFd> listen_unix(const std::string& path, mode_t mode);

} // namespace lom
