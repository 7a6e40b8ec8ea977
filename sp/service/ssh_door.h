// Listens for SSH and hands each connection to lom-ssh, which has no rights: it asks lomd to
// authenticate and for sessions. One lom-ssh that is ready to serve waits for connections and forks
// for each. Loop thread only; lomd reads no byte from the network.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "sp/control/server.h"
#include "sp/service/managed_host.h"
#include "sp/service/ssh_lobby.h"
#include "sp/state/ssh_key.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lom {

class SshDoor {
  public:
    struct HostKey {
        std::string type; ///< "ed25519"
        SshPublicKey key;
    };

    /// `moved` is told when the port has changed.
    SshDoor(Loop& loop, Paths paths, std::function<void()> moved);

    /// Makes the host key if there is none, listens, accepts. `preferred` is tried first when
    /// `port` is 0 (the port of the last run).
    Result<void> listen(control::Server& server, const std::string& address, std::uint16_t port,
                        std::uint16_t preferred, bool enabled);
    std::uint16_t port() const { return port_; }

    // -- at run time; nothing here cuts a session
    Result<void> move_to(std::uint16_t port);
    Result<void> enable(bool on);
    Result<void> restart();
    std::vector<HostKey> host_keys() const;
    /// Replaces the key of that type; `done` comes later.
    void generate_key(const std::string& type, std::function<void(Result<void>)> done);

  private:
    std::string key_path(const std::string& type) const;
    Result<ProcessId> start_key_maker(const std::string& type, const std::string& path) const;
    Result<void> make_first_key() const;
    Result<void> open(std::uint16_t port);
    void accept();
    bool serve(std::uint64_t id, int connection, const std::string& source);
    Result<void> start_helper();
    void helper_ended();

    Loop& loop_;
    Paths paths_;
    std::function<void()> moved_;
    control::Server* server_ = nullptr;
    std::string address_;
    UniqueFd listener_;
    std::uint16_t port_ = 0;
    Loop::Handle accept_watch_;
    Loop::Handle pause_;
    SshLobby lobby_;
    UniqueFd helper_; ///< towards the lom-ssh that waits for connections
    Loop::Handle helper_exit_;
    Loop::Handle pause_helper_;
    Loop::Handle key_maker_;
};

/// A listening TCP socket on a numeric address.
Result<UniqueFd> listen_tcp(const std::string& address, std::uint16_t port);

} // namespace lom
