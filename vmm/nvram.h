// OpenBoot's configuration variables: which there are, their defaults, what they accept. Each one
// does something; what would do nothing on a PC is not here. Any thread.
#pragma once

#include "base/result.h"
#include "vmm/boot_state.h"

#include <span>
#include <string>
#include <string_view>

namespace lom::vmm {

struct NvramVariable {
    enum class Type { boolean, text, devices };
    const char* name;
    const char* fallback;
    Type type;
};

constexpr std::size_t nvram_value_limit = 255;

std::span<const NvramVariable> nvram_variables();
/// Null when there is none. Upper and lower case are the same, as everywhere in OpenBoot.
const NvramVariable* find_nvram_variable(std::string_view name);
std::string nvram_value(const Nvram& nvram, std::string_view name);
bool nvram_flag(const Nvram& nvram, std::string_view name);
/// Checks type and length; whether devices exist is for the caller to know.
Result<void> set_nvram(Nvram& nvram, const NvramVariable& variable, std::string_view value);

/// ASCII only, whatever the locale.
std::string lower_case(std::string_view text);
bool is_printable(std::string_view text);

} // namespace lom::vmm
