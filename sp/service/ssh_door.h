// Listens for SSH and gives each connection a lom-ssh process of its own, which has no rights: it
// asks lomd to authenticate and for sessions. Loop thread only; lomd reads no byte from the
// network.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "sp/control/server.h"
#include "sp/service/managed_host.h"

#include <cstdint>
#include <map>
#include <string>

namespace lom {

class SshDoor {
  public:
    SshDoor(Loop& loop, Paths paths, control::Server& server)
        : loop_(loop), paths_(std::move(paths)), server_(server) {}

    /// Makes the host key if there is none, listens, accepts. `preferred` is tried first when
    /// `port` is 0 (the port of the last run).
    Result<void> listen(const std::string& address, std::uint16_t port, std::uint16_t preferred);
    std::uint16_t port() const { return port_; }

  private:
    Result<void> make_host_key() const;
    void accept();
    void serve(UniqueFd connection);

    Loop& loop_;
    Paths paths_;
    control::Server& server_;
    UniqueFd listener_;
    std::uint16_t port_ = 0;
    Loop::Handle accept_watch_;
    Loop::Handle pause_;
    std::map<pid_t, Loop::Handle> children_;
};

/// A listening TCP socket on a numeric address.
Result<UniqueFd> listen_tcp(const std::string& address, std::uint16_t port);

} // namespace lom
