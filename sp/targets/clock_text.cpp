#include "sp/targets/clock_text.h"

#include <array>
#include <ctime>

namespace lom {

std::string clock_text(std::int64_t seconds_since_1970) {
    const auto seconds = static_cast<std::time_t>(seconds_since_1970);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts);
    return text.data();
}

} // namespace lom
