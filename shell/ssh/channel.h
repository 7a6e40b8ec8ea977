// One session channel of an SSH connection and the `lom` that serves it, on a pty or on pipes.
// Bytes move in both directions no faster than the slower side takes them: what the client does not
// read stays in the pty, what lom does not read stays in libssh's window. One thread, never blocks.
#pragma once

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "sp/control/client.h"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include <poll.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

/// What every channel's `lom` is started with.
struct LomPlace {
    int program_folder; ///< descriptors, because their folders may be closed to our user
    int run_dir;
};

class Channel {
  public:
    explicit Channel(ssh_channel channel);
    ~Channel(); ///< hangs up if lom still runs
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    ssh_channel handle() const { return channel_; }

    // -- before the start
    void set_terminal(const std::string& type, int columns, int rows);
    void resize(int columns, int rows);
    /// What lom is started with beside its connection to lomd, `session`.
    Result<void> start(const LomPlace& place, control::Client::OpenedSession session,
                       const std::vector<std::string>& arguments);
    bool started() const { return process_.pid != 0; }
    /// Tells the client why nothing was started.
    void refuse(const std::string& sentence, int status);

    // -- the poll loop
    /// Adds what to wait for; `may_send`: libssh has sent all it was given.
    void add_to(std::vector<pollfd>& entries, bool may_send) const;
    /// Moves what can be moved.
    void pump(bool may_send);
    /// Both sides are done: it can be destroyed.
    bool finished() const;
    /// The session's id, if there was input or output since the last time; every 10 s at most.
    std::optional<std::string> take_activity();
    /// The client broke its window: the connection is to be cut.
    bool overrun() const { return overrun_; }

  private:
    struct Output { ///< of lom
        UniqueFd fd;
        std::string pending;
        bool extended = false; ///< stderr
    };

    /// `theirs`: lom's ends, for the caller to close after the spawn.
    Result<void> open_terminal(SpawnOptions& options, std::vector<UniqueFd>& theirs);
    Result<void> open_pipes(SpawnOptions& options, std::vector<UniqueFd>& theirs);
    void read_output(Output& output);
    void send_output(Output& output);
    void take_input();
    void write_input();
    void end_input();
    void hang_up();
    bool ended() const { return exit_status_ || !exit_signal_.empty(); } ///< lom, and was reaped
    void reap();
    void close();
    static void on_signal(ssh_session, ssh_channel, const char* name, void* self);

    ssh_channel channel_;
    ssh_channel_callbacks_struct callbacks_{};
    std::string session_; ///< its id in lomd
    bool active_ = false;
    std::chrono::steady_clock::time_point next_activity_;
    bool has_terminal_ = false;
    std::string terminal_type_;
    int columns_ = 80;
    int rows_ = 24;

    ProcessId process_;
    UniqueFd exit_watch_; ///< a pidfd
    std::optional<int> exit_status_;
    std::string exit_signal_;
    UniqueFd input_;
    std::string to_lom_;
    std::size_t taken_ = 0; ///< of it, by lom
    std::vector<Output> outputs_;
    UniqueFd terminal_;        ///< with a pty: input and output
    UniqueFd input_end_;       ///< with a pty: closed when no more input comes
    bool client_done_ = false; ///< the client sent its EOF
    bool closed_ = false;
    bool overrun_ = false;
};

} // namespace lom::shell
