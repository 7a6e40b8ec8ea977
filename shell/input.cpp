#include "shell/input.h"

#include "shell/remote_tree.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace lom::shell {

namespace {

// A signal becomes a byte here, so that poll() cannot miss it.
int signal_pipe[2] = {-1, -1};
volatile sig_atomic_t interrupt_seen = 0;

void on_signal(int number) {
    const int saved = errno;
    if (number == SIGINT)
        interrupt_seen = 1;
    const char byte = static_cast<char>(number);
    (void)!write(signal_pipe[1], &byte, 1);
    errno = saved;
}

void install(int number, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler; // no SA_RESTART: Ctrl-C also ends a write that blocks
    sigaction(number, &action, nullptr);
}

bool readable(int fd) {
    pollfd entry{fd, POLLIN, 0};
    return poll(&entry, 1, 0) > 0;
}

} // namespace

Input::Input(int fd, RemoteTree& tree, bool signals, UniqueFd no_more)
    : fd_(fd), tree_(tree), no_more_(std::move(no_more)) {
    if (!signals || pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return;
    install(SIGINT, on_signal);
    install(SIGWINCH, on_signal);
    install(SIGTSTP, SIG_IGN);
    install(SIGQUIT, SIG_IGN);
}

bool rest_for(std::chrono::milliseconds time) {
    if (!Input::interrupt_pending())
        (void)poll(nullptr, 0, static_cast<int>(time.count())); // a signal ends it
    return !Input::take_interrupt();
}

bool Input::interrupt_pending() { return interrupt_seen != 0; }

bool Input::take_interrupt() {
    const bool seen = interrupt_seen != 0;
    interrupt_seen = 0;
    return seen;
}

Input::Event Input::wait() {
    for (;;) {
        std::array<pollfd, 4> entries{pollfd{fd_, POLLIN, 0}, pollfd{signal_pipe[0], POLLIN, 0},
                                      pollfd{tree_.fd(), POLLIN, 0},
                                      pollfd{no_more_ ? no_more_.get() : -1, POLLIN, 0}};
        if (poll(entries.data(), entries.size(), -1) < 0) {
            if (errno == EINTR)
                continue;
            return Event::end;
        }
        char number = 0;
        if (entries[1].revents != 0 && read(signal_pipe[0], &number, 1) == 1) {
            if (number == SIGWINCH)
                return Event::resized;
            if (take_interrupt())
                return Event::interrupted;
            continue;
        }
        if (entries[2].revents != 0) {
            (void)tree_.recover(); // says so itself
            return tree_.ended() ? Event::end : Event::recovered;
        }
        if (entries[0].revents != 0)
            return Event::byte;
        if (entries[3].revents != 0) // looked at again: the last byte came before the end
            return readable(fd_) ? Event::byte : Event::end;
    }
}

Input::Event Input::refill() {
    const Event event = wait();
    if (event != Event::byte)
        return event;
    std::array<char, 4096> buffer; // NOLINT: filled by read
    const ssize_t count = read(fd_, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return Event::recovered;
    if (count <= 0)
        return Event::end;
    put_back(std::string(buffer.data(), static_cast<std::size_t>(count)));
    return Event::byte;
}

Input::Event Input::next(char& byte) {
    if (used_ == ahead_.size())
        if (const Event event = refill(); event != Event::byte)
            return event;
    byte = ahead_[used_++];
    return Event::byte;
}

std::string Input::take_ahead() {
    std::string rest = ahead_.substr(used_);
    put_back({});
    return rest;
}

void Input::put_back(std::string bytes) {
    ahead_ = std::move(bytes);
    used_ = 0;
}

std::optional<std::string> Input::line(std::size_t limit) {
    std::string line;
    bool any = false;
    for (;;) {
        char byte = 0;
        switch (next(byte)) {
        case Event::end:
            return any ? std::optional(line) : std::nullopt;
        case Event::interrupted:
            return std::nullopt;
        case Event::resized:
        case Event::recovered:
            continue;
        case Event::byte:
            break;
        }
        if (byte == '\n' && after_cr_) {
            after_cr_ = false;
            continue;
        }
        any = true;
        after_cr_ = byte == '\r';
        if (byte == '\r' || byte == '\n')
            return line;
        if (line.size() < limit)
            line += byte;
    }
}

} // namespace lom::shell
