// What lom-media may ask of the kernel once it has what it needs: the network, the descriptors it
// holds, files that every user may read below /etc and the libraries. Called once, on the only
// thread, before the first byte of a stranger is read; there is no way back.
#pragma once

#include "base/result.h"

#include <string>

namespace lom::media {

struct Reach {
    std::string write; ///< folder of its own; empty: nothing is written
};

/// The folder becomes the user nobody's; the answer is the path to it that leads there afterwards,
/// whatever lies above it.
Result<std::string> hand_over(const std::string& folder);

/// As the user nobody, without capabilities, without new privileges, behind a seccomp filter and,
/// where the kernel has Landlock, with no other file in reach. The answer is what holds, as the
/// kernel tells it: "user nobody, no capabilities, no new privileges, seccomp, Landlock".
Result<std::string> confine(const Reach& reach);

} // namespace lom::media
