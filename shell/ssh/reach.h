// Which files lom-ssh, and each lom that it starts, can reach: a Landlock ruleset. Called once,
// before the seccomp filter; there is no way back. Kernels without Landlock leave it at the user's
// rights.
#pragma once

#include "base/result.h"

namespace lom::shell {

/// Leaves what a session takes: the libraries, terminal descriptions, terminals, /proc, and
/// `program_folder`, the only place besides the libraries that programs can be started from.
Result<void> limit_reach(int program_folder);

} // namespace lom::shell
