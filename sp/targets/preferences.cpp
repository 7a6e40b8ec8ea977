// /SP/preferences: what people read when they log in, and what happens when they fail to.
#include "sp/targets/targets.h"

#include <algorithm>

namespace lom {

namespace {

Result<void> check_message(const std::string& text) {
    constexpr std::size_t longest = 1000;
    if (text.size() > longest || std::any_of(text.begin(), text.end(), [](char c) {
            return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
        }))
        return Fault{FaultKind::invalid_value,
                     "A message has 1000 characters at most; \\n stands for a new line."};
    return {};
}

std::function<Result<void>(const std::int64_t&)> from_one_to(std::int64_t most) {
    return [most](const std::int64_t& number) {
        return number >= 1 && number <= most
                   ? Result<void>()
                   : Fault{FaultKind::invalid_value,
                           "A number from 1 to " + std::to_string(most) + "."};
    };
}

Target::Ptr banner_target(DoorSettings& doors) {
    auto target = Target::make("banner", "What people read when they log in.");
    target->persistent<std::string>(doors.connect_message,
                                    {.name = "connect_message",
                                     .doc = "Shown before the login; \\n is a new line.",
                                     .write = Role::admin,
                                     .check = check_message});
    target->persistent<std::string>(doors.login_message,
                                    {.name = "login_message",
                                     .doc = "Shown after the login; \\n is a new line.",
                                     .write = Role::admin,
                                     .check = check_message});
    target->persistent<Switch>(doors.login_message_acceptance,
                               {.name = "login_message_acceptance",
                                .doc = "enabled: who does not accept the message is logged out.",
                                .write = Role::admin});
    return target;
}

Target::Ptr lockout_target(LoginGuard& guard) {
    auto target =
        Target::make("account_lockout", "Locks the password of an account that is guessed at.");
    target->persistent<std::int64_t>(guard.attempts,
                                     {.name = "attempts",
                                      .doc = "Wrong passwords in a row until the lock, 1 to 100.",
                                      .write = Role::user,
                                      .check = from_one_to(100)});
    target->persistent<std::int64_t>(
        guard.delay,
        {.name = "delay",
         .doc = "Minutes that the lock lasts, 1 to 1440. SSH keys, and sources that logged in "
                "before, are not locked out by others' failures.",
         .write = Role::user,
         .check = from_one_to(1440)});
    target->persistent<Switch>(guard.state, {.name = "state",
                                             .doc = "disabled: failures only make answers late.",
                                             .write = Role::user});
    return target;
}

} // namespace

Target::Ptr preferences_target(const TargetContext& context) {
    auto policy = Target::make("password_policy", "What holds for passwords.");
    policy->child(lockout_target(context.accounts.guard()));
    auto target = Target::make("preferences", "Banners and policies.");
    target->child(banner_target(context.doors));
    target->child(policy);
    return target;
}

} // namespace lom
