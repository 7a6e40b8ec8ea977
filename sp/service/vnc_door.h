// The listening VNC port of a host's screen, off unless somebody switches it on. lomd accepts and
// hands the socket to lom-kvm, which asks for the port's own password. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <string>

namespace lom {

class VncDoor {
  public:
    /// `came` takes an accepted socket and its peer's address.
    using Came = std::function<void(UniqueFd socket, const std::string& address)>;

    VncDoor(Loop& loop, Came came) : loop_(loop), came_(std::move(came)) {}

    Result<void> open(const std::string& address, std::uint16_t port);
    void close();

  private:
    void accept();

    Loop& loop_;
    Came came_;
    UniqueFd listener_;
    Loop::Handle accept_watch_;
};

} // namespace lom
