// The doors' side of the control socket: a blocking client with a deadline on every call, for
// processes with one thread (lom, lom-ssh). Not for lomd. When lomd goes away a call fails with
// `unavailable`; resume() connects again with the session's ticket.
#pragma once

#include "sp/control/messages.h"

#include <chrono>
#include <memory>
#include <string>

namespace lom::control {

class Client {
  public:
    /// A connection as the local administrator: allowed to root and to lomd's own user.
    static Result<Client> connect_local(const std::string& run_dir);
    /// A descriptor inherited from lomd or lom-ssh; whoever gave it has bound an account or not.
    static Result<Client> from_fd(UniqueFd fd, const std::string& run_dir);
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    const Hello& hello() const;
    /// Tries to reach lomd again and to take up the same session until `limit` has passed.
    Result<void> resume(std::chrono::milliseconds limit);
    /// Readable when lomd closed the connection (nothing else comes unasked).
    int fd() const;

    // -- for doors that log people in (lom-ssh)
    Result<Hello> authenticate(const std::string& username, const std::string& password,
                               const std::string& source);
    /// Whether lomd knows the public key (base64 of SSH's wire form) as one of the account's.
    Result<void> would_accept(const std::string& username, const std::string& key,
                              const std::string& source);
    /// A login with what the client signed, and its signature (base64); lomd checks them.
    Result<Hello> authenticate_key(const std::string& username, const std::string& key,
                                   const std::string& signed_data, const std::string& signature,
                                   const std::string& source);
    /// A new control descriptor on the authenticated account, for one session of `type`
    /// ("shell", "exec", "screen"); it is listed in /SP/sessions until its last descriptor closes.
    struct OpenedSession {
        UniqueFd fd;
        std::string id;
    };
    Result<OpenedSession> open_session(const std::string& type);
    /// Somebody is there, in a session that this connection opened: it is not idle.
    Result<void> note_activity(const std::string& session);

    // -- the tree
    Result<TargetView> show(const std::string& target, int depth);
    Result<TargetDescription> describe(const std::string& target);
    Result<SetReply> set(const std::string& target, const std::string& property,
                         const std::string& value);
    Result<RunReply> run(const RunRequest& request);

  private:
    struct Impl;
    explicit Client(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::control
