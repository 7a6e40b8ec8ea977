#include "shell/ssh/screen_forward.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace lom::shell {

using namespace std::chrono_literals;

namespace {

constexpr auto resume_pause = 500ms;
constexpr std::size_t block = 32U << 10U;
constexpr int most_unread = 4 << 20; // libssh's window is 1.25 MiB

} // namespace

ScreenForward::ScreenForward(ssh_channel channel, control::Client session, UniqueFd screen)
    : channel_(channel), session_(std::move(session)), screen_(std::move(screen)) {
    fcntl(screen_.get(), F_SETFL, fcntl(screen_.get(), F_GETFL) | O_NONBLOCK);
}

ScreenForward::~ScreenForward() { ssh_channel_free(channel_); }

void ScreenForward::add_to(std::vector<pollfd>& entries, bool may_send) const {
    short wanted = 0;
    if (to_client_.empty() && may_send && !screen_done_)
        wanted |= POLLIN;
    if (!to_screen_.empty())
        wanted |= POLLOUT;
    if (wanted != 0)
        entries.push_back({screen_.get(), wanted, 0});
    entries.push_back({session_.fd(), POLLIN, 0});
}

std::optional<ScreenForward::Clock::time_point> ScreenForward::due() const {
    if (session_.fd() >= 0)
        return std::nullopt;
    return next_resume_;
}

// lomd says nothing unasked: readable means that it restarts, or that the session is ended.
void ScreenForward::check_lomd() {
    pollfd entry{session_.fd(), POLLIN, 0};
    if (session_.fd() >= 0 ? poll(&entry, 1, 0) <= 0 : Clock::now() < next_resume_)
        return;
    const auto resumed = session_.resume(100ms);
    next_resume_ = Clock::now() + resume_pause;
    if (!resumed && resumed.fault().kind == FaultKind::denied)
        close();
}

void ScreenForward::pump(bool may_send) {
    if (ssh_channel_is_closed(channel_) != 0)
        closed_ = true;
    if (!closed_)
        check_lomd();
    if (closed_)
        return;
    // Until the screen's side is full or libssh's buffer is empty: nothing would wake us for the
    // rest.
    do {
        take_from_client();
        give_to_screen();
    } while (to_screen_.empty() && ssh_channel_poll(channel_, 0) > 0);
    if (may_send) {
        give_to_client();
        if (to_client_.empty())
            take_from_screen();
        give_to_client();
    }
    if ((screen_done_ && to_client_.empty()) || (client_done_ && to_screen_.empty()))
        close();
}

void ScreenForward::take_from_client() {
    const int waiting = client_done_ ? 0 : ssh_channel_poll(channel_, 0);
    overrun_ = waiting > most_unread;
    if (waiting > 0 && to_screen_.empty()) {
        to_screen_.resize(block);
        const int count = ssh_channel_read_nonblocking(channel_, to_screen_.data(), block, 0);
        to_screen_.resize(static_cast<std::size_t>(std::max(count, 0)));
    }
    if (waiting == SSH_EOF || waiting == SSH_ERROR ||
        (waiting == 0 && ssh_channel_is_eof(channel_) != 0))
        client_done_ = true;
}

void ScreenForward::give_to_screen() {
    if (to_screen_.empty())
        return;
    const ssize_t count = ::send(screen_.get(), to_screen_.data(), to_screen_.size(), MSG_NOSIGNAL);
    if (count > 0)
        to_screen_.erase(0, static_cast<std::size_t>(count));
    else if (errno != EAGAIN && errno != EINTR)
        to_screen_.clear(); // its end is read next
}

void ScreenForward::take_from_screen() {
    if (screen_done_)
        return;
    to_client_.resize(block);
    const ssize_t count = recv(screen_.get(), to_client_.data(), block, 0);
    to_client_.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        screen_done_ = true;
}

void ScreenForward::give_to_client() {
    if (to_client_.empty())
        return;
    const std::size_t room = ssh_channel_window_size(channel_);
    const auto length = static_cast<std::uint32_t>(std::min(to_client_.size(), room));
    const int sent = length == 0 ? 0 : ssh_channel_write(channel_, to_client_.data(), length);
    if (sent > 0)
        to_client_.erase(0, static_cast<std::size_t>(sent));
    else if (sent < 0)
        to_client_.clear(); // the client is gone
}

void ScreenForward::close() {
    closed_ = true;
    ssh_channel_send_eof(channel_);
    ssh_channel_close(channel_);
}

} // namespace lom::shell
