#include "sp/service/one_line.h"

namespace lom {

std::string with_newlines(const std::string& one_line) {
    std::string text;
    for (std::size_t i = 0; i < one_line.size(); ++i) {
        const bool newline = one_line.compare(i, 2, "\\n") == 0;
        text += newline ? '\n' : one_line[i];
        i += newline ? 1 : 0;
    }
    return text;
}

} // namespace lom
