// Base64 with padding, as in SSH's key files and the control protocol. Standard library only; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lom {

std::string to_base64(std::string_view bytes);
/// nullopt for anything but whole, padded base64.
std::optional<std::string> from_base64(std::string_view text);

} // namespace lom
