// A forwarded connection to the host's screen (ssh -L 5900:kvm:5900): bytes between an SSH channel
// and the descriptor that lomd gave for /HOST/screen, no faster than the slower side takes them.
// It is a session of its own in /SP/sessions. One thread; blocks only in requests to lomd.
#pragma once

#include "base/fd.h"
#include "sp/control/client.h"

#include <libssh/libssh.h>

#include <poll.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

class ScreenForward {
  public:
    /// The only host name that a forward reaches, whatever the port.
    static constexpr std::string_view host = "kvm";

    using Clock = std::chrono::steady_clock;

    /// `session` has started /HOST/screen and got the descriptor `screen`.
    ScreenForward(ssh_channel channel, control::Client session, UniqueFd screen);
    ~ScreenForward();
    ScreenForward(const ScreenForward&) = delete;
    ScreenForward& operator=(const ScreenForward&) = delete;

    /// Adds what to wait for; `may_send`: libssh has sent all it was given.
    void add_to(std::vector<pollfd>& entries, bool may_send) const;
    /// Moves what can be moved.
    void pump(bool may_send);
    bool finished() const { return closed_; }
    /// When pump() is to come though nothing moves: lomd was lost.
    std::optional<Clock::time_point> due() const;
    /// The client broke its window: the connection is to be cut.
    bool overrun() const { return overrun_; }

  private:
    void check_lomd();
    void take_from_client();
    void give_to_screen();
    void take_from_screen();
    void give_to_client();
    void close();

    ssh_channel channel_;
    control::Client session_;
    UniqueFd screen_;
    Clock::time_point next_resume_;
    std::string to_screen_;
    std::string to_client_;
    bool client_done_ = false;
    bool screen_done_ = false;
    bool closed_ = false;
    bool overrun_ = false;
};

} // namespace lom::shell
