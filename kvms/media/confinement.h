// What lom-media may ask of the kernel once it has what it needs: the network, the descriptors it
// holds, files that every user may read below /etc and the libraries. Called once, on the only
// thread, before the first byte of a stranger is read; there is no way back.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace lom::media {

struct Reach {
    std::vector<std::string> read; ///< folders and files to be read besides
};

/// As the user nobody, without capabilities, without new privileges, behind a seccomp filter and,
/// where the kernel has Landlock, with no other file in reach. The answer is what holds, as the
/// kernel tells it: "user nobody, no capabilities, no new privileges, seccomp, Landlock".
Result<std::string> confine(const Reach& reach);

} // namespace lom::media
