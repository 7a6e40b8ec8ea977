// A root folder of a process's own: some places of the machine where they were, to be read only,
// and nothing else: no file, no socket of another program. For programs that read strangers' bytes;
// called once, while there is one thread and still the right to mount.
#pragma once

#include <span>

namespace lom {

/// False: the kernel or our rights do not allow it, and nothing has changed for us. Descriptors
/// that are open stay what they are. Places that this machine does not have are left out.
bool enter_own_root(std::span<const char* const> places);

} // namespace lom
