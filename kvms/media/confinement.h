// What lom-media, lom-nfs and lom-smb may ask of the kernel once they have what they need: the
// network, the descriptors they hold, files that every user may read below /etc and the libraries.
// Called once, on the only thread, before the first byte of a stranger is read; there is no way
// back.
#pragma once

#include "base/result.h"

#include <string>

namespace lom::media {

struct Reach {
    std::string write;        ///< folder of its own; empty: nothing is written
    bool low_ports = false;   ///< it may bind them
    bool with_parent = false; ///< it ends when its parent does
};

/// The folder becomes the user nobody's; the answer is the path to it that leads there afterwards,
/// whatever lies above it.
Result<std::string> hand_over(const std::string& folder);

/// As the user nobody, without capabilities, without new privileges, behind a seccomp filter and,
/// where the kernel lets it, in a root of its own (base/own_root.h) and, by Landlock, with no other
/// file in reach. The answer is what holds: "user nobody, no capabilities, no new privileges,
/// seccomp, own root, Landlock".
Result<std::string> confine(const Reach& reach);

} // namespace lom::media
