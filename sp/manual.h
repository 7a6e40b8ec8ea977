// openlom-targets(7): the manual page of all targets, made from their declarations. Loop thread
// only; reads the tree and changes nothing.
#pragma once

#include "sp/tree/tree.h"

#include <string>

namespace lom {

/// The page in mdoc. It names types, values and roles, never what a property holds.
std::string targets_manual(const Tree& tree);

} // namespace lom
