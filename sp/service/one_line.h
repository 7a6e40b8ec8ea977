// Texts of several lines (keys, certificates) as they are typed and kept: in one. Pure; any thread.
#pragma once

#include <string>

namespace lom {

/// Each \n is a newline.
std::string with_newlines(const std::string& one_line);

} // namespace lom
