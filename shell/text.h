// Small text questions that the whole shell asks: case, columns, what may go to a terminal.
// Standard library only; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

/// ASCII case only, as lomd matches names.
bool same_name(std::string_view a, std::string_view b);
bool starts_with_name(std::string_view text, std::string_view prefix);
/// `pattern` may hold `*`; letters match without case.
bool matches_pattern(std::string_view text, std::string_view pattern);

/// Nothing in the result moves a cursor: control bytes and broken UTF-8 become \xNN. Newlines stay.
std::string printable(std::string_view text);
/// Columns that UTF-8 text takes (one for each character).
std::size_t columns(std::string_view text);
std::string padded(std::string_view text, std::size_t width);
/// Lines of at most `width` columns, split at spaces; longer words stay whole. 0: only at newlines.
std::vector<std::string> folded(std::string_view text, std::size_t width);

/// One line of at most `width` columns, ` ...` where something was left out. 0: all of it.
std::string clipped(const std::string& line, std::size_t width);

/// `"..."` with JSON's escapes; broken UTF-8 becomes U+FFFD.
std::string json_string(std::string_view text);

/// A banner as administrators typed it: its `\n` and `\r\n` become line ends, and one ends it.
std::string message_text(std::string_view message, std::string_view line_end);

/// The candidate that `word` was most likely meant to be; empty: none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
/// The same as a question to the person who typed; empty: none is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

} // namespace lom::shell
