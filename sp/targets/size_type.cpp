#include "sp/targets/size_type.h"

#include <array>
#include <cctype>
#include <charconv>

namespace lom {

namespace {

// Binary units under their customary names, as ILOM and QEMU print them.
constexpr std::array<const char*, 5> units{"", "KB", "MB", "GB", "TB"};

Result<Value> parse_size(std::string_view text) {
    const Fault fault{FaultKind::invalid_value, "Give a size such as 512M, 20G or 1T."};
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc())
        return fault;
    std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    while (!unit.empty() && unit.front() == ' ')
        unit.remove_prefix(1);
    for (std::size_t i = 0; i < units.size(); ++i) {
        const std::string_view name(units[i]);
        const bool matches = equal_ignoring_case(unit, name) ||
                             (i > 0 && (equal_ignoring_case(unit, name.substr(0, 1)) ||
                                        equal_ignoring_case(unit, std::string{name[0], 'i', 'B'})));
        if (!matches)
            continue;
        const std::size_t shift = i * 10;
        if (number > (std::uint64_t{1} << 62U) >> shift)
            return fault;
        return Value(static_cast<std::int64_t>(number << shift));
    }
    return fault;
}

std::string print_size(const Value& value) {
    auto bytes = static_cast<std::uint64_t>(std::get<std::int64_t>(value));
    std::size_t unit = 0;
    while (unit + 1 < units.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++unit;
    }
    return std::to_string(bytes) + (unit == 0 ? "" : std::string(" ") + units[unit]);
}

} // namespace

const Type& size_type() {
    static const Type type{"size", {}, parse_size, print_size};
    return type;
}

} // namespace lom
