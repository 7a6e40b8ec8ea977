// A process of its own for each webhook: reads lomd's events, posts them as Redfish events, and
// says how that went. What the receiver answers is hostile.
#pragma once

#include "base/fd.h"

namespace lom::web {

/// `hook` is a socket to lomd: one line of JSON comes, lines of status go. Returns when lomd closes
/// `events`.
int deliver_events(UniqueFd hook, UniqueFd events);

} // namespace lom::web
