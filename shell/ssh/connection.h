// One SSH connection from its first byte to its last: key exchange, login (lomd decides), session
// channels. One poll loop, one thread; blocks only in requests to lomd, which have deadlines. Holds
// no rights: whatever a stranger does to it, the process dies alone.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "shell/ssh/channel.h"
#include "shell/ssh/host_key.h"
#include "shell/ssh/screen_forward.h"
#include "sp/control/client.h"

#include <libssh/libssh.h>
#include <libssh/server.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace lom::shell {

struct BindDeleter {
    void operator()(ssh_bind bind) const { ssh_bind_free(bind); }
};
using ServerSettings = std::unique_ptr<ssh_bind_struct, BindDeleter>;

/// What every connection needs and none changes.
Result<ServerSettings> server_settings(std::vector<SshKey> host_keys);

class Connection {
  public:
    struct Options {
        UniqueFd socket;
        ssh_bind bind = nullptr; ///< keys and algorithms, of server_settings()
        std::string source;      ///< the client's address
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
    void tell_of_activity();
    void send_connect_message();
    int timeout() const;
    void check_lomd();

    static int on_message(ssh_session, ssh_message message, void* self);
    int answer(ssh_message message);
    int answer_login(ssh_message message);
    int answer_interactive(ssh_message message);
    int check_password(ssh_message message, const std::string& username, const char* password);
    int answer_key(ssh_message message);
    int answer_open(ssh_message message);
    int answer_forward(ssh_message message);
    int answer_request(ssh_message message);
    int start(ssh_message message, Channel& channel, const std::string& type,
              const std::vector<std::string>& arguments);
    Channel* find(ssh_channel handle);

    Options options_;
    control::Client client_;
    ssh_session session_ = nullptr;
    ssh_event event_ = nullptr;
    std::vector<std::unique_ptr<Channel>> channels_;
    std::vector<std::unique_ptr<ScreenForward>> screens_;
    Clock::time_point grace_end_;
    Clock::time_point next_resume_;
    std::string asked_username_; ///< of the keyboard-interactive dialogue under way
    int failures_ = 0;
    int keys_tried_ = 0;
    bool authenticated_ = false;
    bool over_ = false;
};

} // namespace lom::shell
