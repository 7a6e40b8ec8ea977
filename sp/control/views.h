// What a target looks like to a door: made from its declaration. Loop thread only.
#pragma once

#include "sp/control/messages.h"
#include "sp/tree/tree.h"

namespace lom::control {

Result<TargetView> view_of(const Tree& tree, const Caller& caller, const std::string& path,
                           int depth);
Result<TargetDescription> describe_target(const Tree& tree, const std::string& path);

} // namespace lom::control
