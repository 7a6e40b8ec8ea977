// /SP/clock: the time as this machine has it. Its own time service sets it, not the tree.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

#include <array>
#include <chrono>
#include <ctime>

namespace lom {

namespace {

std::string zone() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    std::array<char, 64> text{};
    std::strftime(text.data(), text.size(), "%Z (UTC%z)", &parts);
    return text.data();
}

std::string duration_text(std::chrono::seconds time) {
    const auto count = time.count();
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%lld days, %02lld:%02lld:%02lld",
                  static_cast<long long>(count / 86400), static_cast<long long>(count / 3600 % 24),
                  static_cast<long long>(count / 60 % 60), static_cast<long long>(count % 60));
    return text.data();
}

} // namespace

std::string uptime_text() {
    static const auto started = std::chrono::steady_clock::now();
    return duration_text(std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::steady_clock::now() - started));
}

Target::Ptr clock_target() {
    uptime_text(); // counts from the first call
    auto target = Target::make("clock", "The time, as this machine's time service sets it.");
    target->shows<std::string>("datetime", "Date and time.",
                               [] { return clock_text(std::time(nullptr)); });
    target->shows<std::string>("timezone", "Time zone of this machine.", zone);
    target->shows<std::string>("uptime", "Since the service processor started.", uptime_text);
    return target;
}

} // namespace lom
