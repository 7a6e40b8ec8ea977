// Keys by name ("ctrl-alt-delete") and by the characters of a keyboard layout. Any thread.
#pragma once

#include "base/result.h"
#include "kvms/screen/typist.h"

#include <string>
#include <vector>

namespace lom::kvms {

/// Key combinations separated by spaces, the keys of one by '-': "ctrl-alt-delete", "f2",
/// "alt-sysrq-b". All of a combination go down in order, then up the other way round.
Result<std::vector<Stroke>> strokes_of(const std::string& names);

/// The layout that X and Linux know by this name: "us", "de", "fr(bepo)".
Result<Layout> load_layout(const std::string& name);

} // namespace lom::kvms
