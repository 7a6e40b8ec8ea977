// Tells systemd how lomd stands (Type=notify, see sd_notify(3)): a datagram to the socket that
// systemd names in the environment. Says nothing where there is no such manager. Any thread; never
// blocks, and a message that cannot be sent is no fault.
#pragma once

#include <string>

namespace lom::service_manager {

/// Whether one started us; our output then goes into its journal.
bool present();
/// Every door answers; `status` is the line that `systemctl status` shows.
void ready(const std::string& status);
void stopping();

} // namespace lom::service_manager
