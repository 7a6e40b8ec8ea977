// One SSH connection from its first byte to its last: key exchange, login (lomd decides), session
// channels. One poll loop, one thread; blocks only in requests to lomd, which have deadlines. Holds
// no rights: whatever a stranger does to it, the process dies alone.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "shell/ssh/channel.h"
#include "sp/control/client.h"

#include <libssh/libssh.h>
#include <libssh/server.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace lom::shell {

class Connection {
  public:
    struct Options {
        UniqueFd socket;
        int host_key = -1;
        std::string source; ///< the client's address
        LomPlace lom;
    };

    Connection(Options options, control::Client client);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Serves until either side ends it.
    Result<void> run();

  private:
    using Clock = std::chrono::steady_clock;

    Result<void> prepare();
    bool turn();
    bool pump_channels();
    int timeout() const;
    void check_lomd();

    static int on_message(ssh_session, ssh_message message, void* self);
    int answer(ssh_message message);
    int answer_login(ssh_message message);
    int answer_interactive(ssh_message message);
    int check_password(ssh_message message, const std::string& username, const char* password);
    int answer_key(ssh_message message);
    int answer_open(ssh_message message);
    int answer_request(ssh_message message);
    int start(ssh_message message, Channel& channel, const std::string& command);
    Channel* find(ssh_channel handle);

    Options options_;
    control::Client client_;
    ssh_session session_ = nullptr;
    ssh_event event_ = nullptr;
    std::vector<std::unique_ptr<Channel>> channels_;
    Clock::time_point grace_end_;
    Clock::time_point next_resume_;
    std::string asked_username_; ///< of the keyboard-interactive dialogue under way
    int failures_ = 0;
    int keys_tried_ = 0;
    bool authenticated_ = false;
    bool over_ = false;
};

} // namespace lom::shell
