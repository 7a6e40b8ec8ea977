#include "shell/sftp_session.h"

#include "shell/interpreter.h"
#include "shell/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

namespace lom::shell {

namespace {

constexpr std::size_t block = 64U << 10U;

/// One direction: what was read and is still to be written.
class Way {
  public:
    Way(int from, int to) : from_(from), to_(to) {
        for (const int fd : {from, to})
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    pollfd reading() const { return {ended_ || pending() ? -1 : from_, POLLIN, 0}; }
    pollfd writing() const { return {pending() ? to_ : -1, POLLOUT, 0}; }
    void move() {
        if (!pending() && !ended_) {
            const ssize_t count = read(from_, buffer_.data(), buffer_.size());
            begin_ = 0;
            end_ = count > 0 ? static_cast<std::size_t>(count) : 0;
            ended_ = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
        }
        while (pending()) {
            const ssize_t count = write(to_, &buffer_[begin_], end_ - begin_);
            if (count < 0 && errno == EINTR)
                continue;
            if (count < 0 && errno == EAGAIN)
                return;
            if (count < 0) {
                begin_ = end_ = 0; // nobody reads it any more
                ended_ = true;
                return;
            }
            begin_ += static_cast<std::size_t>(count);
        }
    }
    bool done() const { return ended_ && !pending(); }

  private:
    bool pending() const { return begin_ < end_; }
    int from_;
    int to_;
    std::array<char, block> buffer_{};
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool ended_ = false;
};

void carry(int stream) {
    Way in(STDIN_FILENO, stream);
    Way out(stream, STDOUT_FILENO);
    bool told = false;
    while (!out.done()) {
        std::array entries{in.reading(), in.writing(), out.reading(), out.writing()};
        if (poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR)
            return;
        in.move();
        out.move();
        if (in.done() && !std::exchange(told, true))
            shutdown(stream, SHUT_WR); // the client has said all
    }
}

int complain(const Fault& fault) {
    (void)write_all(STDERR_FILENO, fault.message + "\n");
    return status::of(fault.kind);
}

} // namespace

int serve_sftp(control::Client& client) {
    std::signal(SIGPIPE, SIG_IGN);
    control::RunRequest request;
    request.target = "/SP/media";
    request.verb = "start";
    const auto begun = client.run(request);
    if (!begun)
        return complain(begun.fault());
    carry(begun->fd.get());
    request.verb = "stop";
    const auto ended = client.run(request);
    if (!ended)
        return complain(ended.fault());
    if (ended->message.empty())
        return status::done;
    return complain({FaultKind::unavailable, ended->message}); // what was not taken in, and why
}

} // namespace lom::shell
