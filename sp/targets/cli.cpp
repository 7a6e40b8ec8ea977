// /SP/cli: the shell that a login gets.
#include "sp/targets/targets.h"

#include <algorithm>

namespace lom {

namespace {

Result<void> check_timeout(std::int64_t minutes) {
    constexpr std::int64_t longest = 1440;
    if (minutes < 0 || minutes > longest)
        return Fault{FaultKind::invalid_value, "Minutes from 0 (never) to 1440."};
    return {};
}

Result<void> check_prompt(const std::string& prompt) {
    constexpr std::size_t longest = 60;
    if (prompt.size() > longest || std::any_of(prompt.begin(), prompt.end(), [](char c) {
            return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
        }))
        return Fault{FaultKind::invalid_value, "A prompt has 60 characters at most, on one line."};
    return {};
}

} // namespace

Target::Ptr cli_target(const TargetContext& context) {
    auto target = Target::make("cli", "The shell that a login gets.");
    DoorSettings& doors = context.doors;
    target->persistent<std::string>(
        doors.cli_prompt,
        {.name = "prompt",
         .doc = "What stands before a command; empty: '-> '. <HOSTNAME> becomes the name.",
         .write = Role::admin,
         .check = check_prompt});
    target->persistent<std::int64_t>(
        doors.cli_timeout,
        {.name = "timeout",
         .doc = "Minutes without a key or output after which a session ends; 0: never.",
         .write = Role::admin,
         .check = check_timeout});
    return target;
}

} // namespace lom
