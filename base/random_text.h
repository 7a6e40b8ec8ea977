// Names that nobody guesses. Any thread.
#pragma once

#include <string>

namespace lom {

/// 256 random bits in hexadecimal digits. Ends the process when there is no randomness: a
/// guessable ticket is worse than no daemon.
std::string random_ticket();

} // namespace lom
