// Blocking output to the person's side. Any thread.
#pragma once

#include <string_view>

namespace lom::shell {

/// False when the other side is gone, or when a signal came and `stop` says to give up.
bool write_all(int fd, std::string_view bytes, bool (*stop)() = nullptr);

} // namespace lom::shell
