#include "base/stream.h"

#include "base/passed_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

namespace lom {

namespace {

constexpr std::size_t max_fds = 4;
constexpr std::size_t read_size = 64U << 10U;

struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    std::vector<UniqueFd> fds;
};

} // namespace

struct Stream::Impl : std::enable_shared_from_this<Impl> {
    Impl(Loop& loop_in, UniqueFd fd_in, Handlers handlers_in, std::size_t limit_in)
        : loop(loop_in), fd(std::move(fd_in)), handlers(std::move(handlers_in)), limit(limit_in) {}

    void start_reading() {
        read_watch = loop.watch(fd.get(), Loop::Wait::readable, [this] { on_readable(); });
    }

    void on_readable() {
        const auto keep = shared_from_this(); // a handler may destroy the Stream
        std::array<char, read_size> buffer;   // NOLINT: filled by recvmsg
        Received received = receive_with_fds(fd.get(), buffer, max_fds);
        const ssize_t count = received.count;
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0) {
            close_with(count == 0 ? "the peer closed the connection" : std::strerror(errno));
            return;
        }
        if (handlers.data)
            handlers.data(std::string_view(buffer.data(), static_cast<std::size_t>(count)),
                          std::move(received.fds));
    }

    ssize_t send_front() {
        Outgoing& front = queue.front();
        std::vector<int> fds;
        for (const UniqueFd& passed : front.fds)
            fds.push_back(passed.get());
        return send_with_fds(fd.get(), std::span(front.bytes).subspan(front.sent), fds);
    }

    void flush() {
        while (!queue.empty()) {
            const ssize_t count = send_front();
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
                want_write();
                return;
            }
            if (count < 0) {
                close_later(std::strerror(errno));
                return;
            }
            Outgoing& front = queue.front();
            front.fds.clear();
            front.sent += static_cast<std::size_t>(count);
            queued -= static_cast<std::size_t>(count);
            if (front.sent == front.bytes.size())
                queue.pop_front();
        }
        write_watch.reset();
    }

    void want_write() {
        if (!write_watch)
            write_watch = loop.watch(fd.get(), Loop::Wait::writable, [this] {
                const auto keep = shared_from_this();
                flush();
                if (queue.empty() && !closed && handlers.drained)
                    handlers.drained();
            });
    }

    // From inside send(): the owner must not be destroyed under its own call.
    void close_later(const std::string& reason) {
        read_watch.reset();
        write_watch.reset();
        loop.post([weak = weak_from_this(), reason] {
            if (const auto self = weak.lock())
                self->close_with(reason);
        });
    }

    void close_with(const std::string& reason) {
        read_watch.reset();
        write_watch.reset();
        if (closed)
            return;
        closed = true;
        if (handlers.closed) {
            // Moved out: the handler may destroy the Stream and with it these very functions.
            const auto handler = std::move(handlers.closed);
            handler(reason);
        }
    }

    Loop& loop;
    UniqueFd fd;
    Handlers handlers;
    std::size_t limit;
    std::deque<Outgoing> queue;
    std::size_t queued = 0;
    bool closed = false;
    Loop::Handle read_watch;
    Loop::Handle write_watch;
};

Stream::Stream(Loop& loop, UniqueFd fd, Handlers handlers, std::size_t queue_limit)
    : impl_(std::make_shared<Impl>(loop, std::move(fd), std::move(handlers), queue_limit)) {
    fcntl(impl_->fd.get(), F_SETFL, fcntl(impl_->fd.get(), F_GETFL) | O_NONBLOCK);
    impl_->start_reading();
}

Stream::~Stream() {
    // A callback of ours may be on the stack and keep impl_ alive: nothing may come after this.
    impl_->read_watch.reset();
    impl_->write_watch.reset();
    impl_->closed = true;
    impl_->handlers.data = nullptr;
}

void Stream::send(std::string bytes, std::vector<UniqueFd> fds) {
    if (impl_->closed || bytes.empty())
        return;
    impl_->queued += bytes.size();
    impl_->queue.push_back({std::move(bytes), 0, std::move(fds)});
    if (impl_->queued > impl_->limit) {
        impl_->close_later("the peer does not read what is sent to it");
        return;
    }
    if (!impl_->write_watch)
        impl_->flush();
}

std::size_t Stream::queued() const { return impl_->queued; }

void Stream::pause(bool paused) {
    if (impl_->closed)
        return;
    if (paused)
        impl_->read_watch.reset();
    else if (!impl_->read_watch)
        impl_->start_reading();
}

int Stream::fd() const { return impl_->fd.get(); }

namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path))
        return Fault{FaultKind::internal, "The socket path '" + path +
                                              "' is longer than 107 bytes; use a shorter run-dir."};
    path.copy(address.sun_path, path.size());
    return address;
}

Fault socket_fault(const std::string& what, const std::string& path) {
    return {FaultKind::unavailable, what + " " + path + ": " + std::strerror(errno)};
}

} // namespace

Result<UniqueFd> connect_unix(const std::string& path) {
    const auto address = unix_address(path);
    if (!address)
        return address.fault();
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd ||
        connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) < 0)
        return socket_fault("Cannot connect to", path);
    return fd;
}

Result<UniqueFd> listen_unix(const std::string& path, mode_t mode) {
    const auto address = unix_address(path);
    if (!address)
        return address.fault();
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    unlink(path.c_str());
    if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) < 0 ||
        chmod(path.c_str(), mode) < 0 || listen(fd.get(), 128) < 0)
        return socket_fault("Cannot listen on", path);
    return fd;
}

std::optional<ProcessId> listener_at(const std::string& path) {
    const auto connection = connect_unix(path);
    ucred peer{};
    socklen_t length = sizeof(peer);
    if (!connection || getsockopt(connection->get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return std::nullopt;
    const auto start = start_time_of(peer.pid);
    return start ? std::optional(ProcessId{peer.pid, *start}) : std::nullopt;
}

} // namespace lom
