// What lom-ssh, and each lom that it starts, may ask of the kernel. Called once, before the first
// byte of a stranger is read; there is no way back.
#pragma once

#include "base/result.h"

namespace lom::shell {

/// Allows what serving a session takes and refuses all else with EPERM: no sockets but unix ones,
/// no new files, no tracing, no namespaces, no typing into terminals.
Result<void> confine();

} // namespace lom::shell
