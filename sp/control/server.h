// lomd's side of the control socket: one request at a time per connection, each on an account that
// lomd itself has bound. Loop thread only. The wire carries at most 256 KiB a request.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "sp/control/events.h"
#include "sp/state/accounts.h"
#include "sp/state/door_settings.h"
#include "sp/state/sessions.h"
#include "sp/tree/tree.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace lom::control {

class Server {
  public:
    struct Context {
        Loop& loop;
        Tree& tree;
        Accounts& accounts;
        Sessions& sessions;
        std::function<std::string()> hostname;
        DoorSettings& doors;
        /// A login that was let in or refused, for the audit log.
        std::function<void(const Caller&, const Accounts::Verdict&)> login;
        Events& events;
        /// Whether this is the secret that lom-web was started with; it makes a connection a door.
        std::function<bool(const std::string& ticket)> is_web_door;
    };

    explicit Server(Context context);
    ~Server();

    /// Serves R/control.sock; every local user may connect, but only root and our own user become
    /// the local administrator, others need a session's ticket.
    Result<void> listen(const std::string& path);
    /// A door's connection: where its client is, and what becomes of it (called at most once each,
    /// on the loop). Without a source the door names it, as one that serves many clients has to.
    struct DoorClient {
        std::string source;
        std::function<void()> logged_in;
        std::function<void()> closed;
    };
    /// A descriptor for a helper that lets people log in (lom-ssh).
    Result<UniqueFd> door_descriptor(DoorClient client = {});

  private:
    struct Connection;
    void accept();
    Connection& adopt(UniqueFd fd);
    void drop(std::uint64_t id);

    Context context_;
    UniqueFd listener_;
    Loop::Handle accept_watch_;
    std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
    std::uint64_t next_id_ = 1;
};

} // namespace lom::control
