// What lom-kvm may ask of the kernel once it has what it needs: no new file, socket to anybody, or
// program. Called once, before the first byte of a stranger.
#pragma once

#include "base/result.h"

namespace lom::kvms {

Result<void> confine();

} // namespace lom::kvms
