// Blocking output to the person's side. Any thread.
#pragma once

#include <string_view>

namespace lom::shell {

/// False when the other side is gone or Ctrl-C struck in the middle.
bool write_all(int fd, std::string_view bytes);

} // namespace lom::shell
