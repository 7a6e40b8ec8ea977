// The lom-ssh that waits for connections: ready to serve, with its keys read and its libraries
// warm, it takes each one from lomd and forks for it. So a login costs no program start, and what
// all have in common lies in memory once. It reads nothing from the network itself. One thread.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "shell/ssh/connection.h"

#include <optional>
#include <string>

namespace lom::shell {

class Reception {
  public:
    /// `guests`: the socket on which lomd hands connections over.
    Reception(UniqueFd guests, ServerSettings settings, LomPlace place)
        : guests_(std::move(guests)), settings_(std::move(settings)), place_(place) {}

    /// Until lomd closes the socket, or a child crashed: then another one takes over, whose
    /// addresses in memory nobody has tried out. Returns in children too, when they are done.
    Result<void> run();

  private:
    struct Guest {
        UniqueFd socket;
        UniqueFd control;
        std::string source;
    };
    std::optional<Guest> receive(bool& over) const;
    Result<void> serve(Guest guest);
    static bool a_child_crashed();

    UniqueFd guests_;
    ServerSettings settings_;
    LomPlace place_;
};

} // namespace lom::shell
