// What the kernel lets lom-web do from now on: read and write what it has, unix sockets to lomd. No
// program is started, no process watched, no other socket opened. Called once, before a byte of a
// stranger is read.
#pragma once

#include "base/result.h"

namespace lom::web {

Result<void> confine();

} // namespace lom::web
