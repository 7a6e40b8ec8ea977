#include "vmm/nvram.h"

#include <algorithm>
#include <array>

namespace lom::vmm {

namespace {

using Type = NvramVariable::Type;

// The disk comes first: an empty one makes the firmware go on to the next device.
constexpr std::array variables = {
    NvramVariable{"auto-boot?", "true", Type::boolean},
    NvramVariable{"boot-command", "boot", Type::text},
    NvramVariable{"boot-device", "disk cdrom net", Type::devices},
    NvramVariable{"boot-file", "", Type::text},
    NvramVariable{"oem-banner", "", Type::text},
    NvramVariable{"oem-banner?", "false", Type::boolean},
};

} // namespace

std::span<const NvramVariable> nvram_variables() { return variables; }

const NvramVariable* find_nvram_variable(std::string_view name) {
    const std::string wanted = lower_case(name);
    const auto* found = std::find_if(variables.begin(), variables.end(),
                                     [&](const auto& variable) { return wanted == variable.name; });
    return found == variables.end() ? nullptr : found;
}

std::string nvram_value(const Nvram& nvram, std::string_view name) {
    const auto set = nvram.find(std::string(name));
    if (set != nvram.end())
        return set->second;
    const NvramVariable* variable = find_nvram_variable(name);
    return variable == nullptr ? "" : variable->fallback;
}

bool nvram_flag(const Nvram& nvram, std::string_view name) {
    return nvram_value(nvram, name) == "true";
}

Result<void> set_nvram(Nvram& nvram, const NvramVariable& variable, std::string_view value) {
    const std::string name = variable.name;
    if (value.size() > nvram_value_limit || !is_printable(value))
        return Fault{FaultKind::invalid_value, name + " takes at most " +
                                                   std::to_string(nvram_value_limit) +
                                                   " printable characters."};
    std::string wanted(value);
    if (variable.type == Type::boolean) {
        wanted = lower_case(value);
        if (wanted != "true" && wanted != "false")
            return Fault{FaultKind::invalid_value,
                         "Invalid value: " + name + " is either true or false."};
    }
    if (wanted == variable.fallback)
        nvram.erase(name);
    else
        nvram[name] = wanted;
    return {};
}

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& letter : lower)
        if (letter >= 'A' && letter <= 'Z')
            letter = static_cast<char>(letter - 'A' + 'a');
    return lower;
}

bool is_printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

} // namespace lom::vmm
