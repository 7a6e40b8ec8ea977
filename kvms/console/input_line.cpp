#include "kvms/console/input_line.h"

#include "base/stream.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace lom::kvms {

namespace {

constexpr std::chrono::milliseconds first_patience{10};
constexpr std::chrono::milliseconds last_patience{2000};
constexpr int reads_per_turn = 8; // then the loop serves the others

bool try_later(int error) { return error == EAGAIN || error == EINTR; }

} // namespace

InputLine::InputLine(Loop& loop, std::function<void()> roomy)
    : loop_(loop), roomy_(std::move(roomy)) {}

void InputLine::use(const std::string& path) {
    close();
    path_ = path;
}

bool InputLine::send(std::string_view bytes) {
    if (!fd_ && !open())
        return false;
    queue_ += bytes;
    if (!writable_)
        flush();
    return true;
}

bool InputLine::open() {
    struct stat status {};
    if (path_.empty() || stat(path_.c_str(), &status) < 0)
        return false;
    is_socket_ = S_ISSOCK(status.st_mode);
    return is_socket_ ? open_socket() : S_ISFIFO(status.st_mode) && open_fifo();
}

bool InputLine::open_fifo() {
    // Opening for writing alone succeeds only while QEMU reads. The second descriptor reads too, so
    // that a QEMU that dies now costs us no SIGPIPE; it is closed before it could hoard input.
    const UniqueFd probe(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (!probe)
        return false;
    fd_.reset(::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    return static_cast<bool>(fd_);
}

bool InputLine::open_socket() {
    auto connected = connect_unix(path_);
    if (!connected)
        return false;
    fd_ = std::move(*connected);
    output_ = loop_.watch(fd_.get(), Loop::Wait::readable, [this] { drain(); });
    return true;
}

void InputLine::close() {
    output_.reset();
    writable_.reset();
    taken_.reset();
    fd_.reset();
    const bool was_full = full();
    queue_.clear();
    if (was_full)
        tell_roomy();
}

void InputLine::tell_roomy() { roomy_later_ = loop_.after(std::chrono::milliseconds(0), roomy_); }

void InputLine::flush() {
    const bool was_full = full();
    while (!queue_.empty()) {
        const ssize_t count = is_socket_ ? ::send(fd_.get(), queue_.data(), queue_.size(),
                                                  MSG_NOSIGNAL | MSG_DONTWAIT)
                                         : ::write(fd_.get(), queue_.data(), queue_.size());
        if (count < 0 && !try_later(errno))
            return close();
        if (count < 0)
            break;
        queue_.erase(0, static_cast<std::size_t>(count));
    }
    if (was_full && !full())
        tell_roomy();
    if (queue_.empty()) {
        writable_.reset();
        patience_ = first_patience;
        close_when_taken();
    } else if (!writable_) {
        writable_ = loop_.watch(fd_.get(), Loop::Wait::writable, [this] { flush(); });
    }
}

void InputLine::drain() {
    static std::array<char, 64U << 10U> waste; // never read
    for (int i = 0; i < reads_per_turn; ++i) {
        const ssize_t count = recv(fd_.get(), waste.data(), waste.size(), MSG_DONTWAIT);
        if (count < 0 && try_later(errno))
            return;
        if (count <= 0)
            return close();
    }
}

// A FIFO keeps what was written while QEMU holds it open. A socket loses what QEMU has not read.
void InputLine::close_when_taken() {
    if (!is_socket_)
        return close();
    taken_ = loop_.after(patience_, [this] {
        int untaken = 0;
        ioctl(fd_.get(), SIOCOUTQ, &untaken);
        if (untaken == 0)
            return close();
        patience_ = std::min(patience_ * 2, last_patience);
        close_when_taken();
    });
}

} // namespace lom::kvms
