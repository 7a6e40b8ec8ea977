// /HOST/bootmode: how the next boot goes, and /HOST/domain/configs: OpenBoot variables put aside.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

#include <algorithm>

namespace lom {

enum class BootModeState { normal, reset_nvram };
template <>
struct Names<BootModeState> {
    static constexpr const char* all[] = {"normal", "reset_nvram"};
    static constexpr const char* docs[] = {
        "The variables stay as they are.",
        "The next boot sets all OpenBoot variables to their defaults."};
};

/// OpenBoot commands: lines may be separated by newlines, which become ';'.
struct BootScript {
    std::string text;
};

template <>
struct Codec<BootScript> {
    static const Type& type() {
        static const Type instance{"string",
                                   {},
                                   [](std::string_view text) {
                                       std::string line(text);
                                       std::replace(line.begin(), line.end(), '\r', ';');
                                       std::replace(line.begin(), line.end(), '\n', ';');
                                       return string_type().parse(line);
                                   },
                                   string_type().print};
        return instance;
    }
    static Value wrap(BootScript script) { return std::move(script.text); }
    static BootScript unwrap(const Value& value) { return {std::get<std::string>(value)}; }
};

namespace {

std::string time_text(std::chrono::system_clock::time_point time) {
    return clock_text(std::chrono::system_clock::to_time_t(time));
}

Result<VerbOutcome> answer(const Result<void>& done, const std::string& message) {
    return done ? Result<VerbOutcome>(VerbOutcome{.message = message}) : done.fault();
}

/// `auto-boot?=false,boot-device=net disk`: what differs from the defaults.
std::vector<std::string> variables_of(const vmm::Nvram& nvram) {
    std::vector<std::string> variables;
    for (const auto& [name, value] : nvram)
        variables.push_back(name + "=" + value);
    return variables;
}

Target::Ptr config_target(vmm::Host& host, const std::string& name, const vmm::BootConfig& config) {
    auto target = Target::make(name, "OpenBoot variables as they once were.");
    target->shows<std::string>("date_created", "When they were put aside.",
                               [time = config.created] { return time_text(time); });
    target->shows<std::vector<std::string>>("variables", "Those that differ from their default.",
                                            [nvram = config.nvram] { return variables_of(nvram); });
    target->verb(
        {.name = "delete",
         .doc = "Forgets the configuration.",
         .role = Role::reset,
         .run = [&host, name](const VerbCall&, const std::string& path, const Verb::Done& done) {
             done(answer(host.boot().delete_config(name), "Deleted " + path));
         }});
    return target;
}

Target::Ptr configs_target(vmm::Host& host) {
    auto target = Target::make("configs", "Saved OpenBoot variables, for /HOST/bootmode config.");
    target->dynamic_children([&host] {
        std::vector<Target::Ptr> children;
        for (const auto& [name, config] : host.boot().state().configs)
            children.push_back(config_target(host, name, config));
        return children;
    });
    target->verb(
        {.name = "create",
         .doc = "Puts the OpenBoot variables aside as they are now: create "
                "/HOST/domain/configs/install.",
         .role = Role::reset,
         .asks = false,
         .run = [&host](const VerbCall& call, const std::string& path, const Verb::Done& done) {
             done(answer(host.boot().save_config(call.new_name), "Created " + path));
         }});
    return target;
}

} // namespace

void answer_for_next_boot(vmm::Host& host, const Result<void>& set, const Property::Done& done) {
    if (!set)
        return done(set.fault());
    host.settle_next_boot([done](const Result<void>&) { done(SetOutcome{}); });
}

Target::Ptr bootmode_target(vmm::Host& host) {
    auto target = Target::make("bootmode", "Overrides how the next boot goes; used up by it.");
    target->managed<std::string>(
        {.name = "config",
         .doc = "A saved configuration, or factory-default: the next boot begins with its OpenBoot "
                "variables, which then stay. See /HOST/domain/configs.",
         .write = Role::reset,
         .get = [&host] { return host.boot().state().config; },
         .set =
             [&host](const Caller&, const std::string& name, const Property::Done& done) {
                 answer_for_next_boot(host, host.boot().set_config(name), done);
             }});
    target->shows<std::string>("expires", "When 'state' goes back to normal by itself.", [&host] {
        const auto& expires = host.boot().state().expires;
        return expires ? time_text(*expires) : "";
    });
    target->managed<BootScript>(
        {.name = "script",
         .doc = "OpenBoot commands for the next boot, separated by ';' or newlines, 1000 bytes at "
                "most.",
         .write = Role::reset,
         .get = [&host] { return BootScript{host.boot().state().script}; },
         .set =
             [&host](const Caller&, const BootScript& script, const Property::Done& done) {
                 answer_for_next_boot(host, host.boot().set_script(script.text), done);
             }});
    target->managed<BootModeState>(
        {.name = "state",
         .doc = "reset_nvram: the next boot sets all OpenBoot variables to their defaults. Expires "
                "after 10 minutes.",
         .write = Role::reset,
         .get =
             [&host] {
                 return host.boot().state().reset_nvram ? BootModeState::reset_nvram
                                                        : BootModeState::normal;
             },
         .set =
             [&host](const Caller&, BootModeState state, const Property::Done& done) {
                 answer_for_next_boot(
                     host, host.boot().set_reset_nvram(state == BootModeState::reset_nvram), done);
             }});
    return target;
}

Target::Ptr domain_target(vmm::Host& host) {
    auto target = Target::make("domain", "What the host's OpenBoot is set up to do.");
    target->child(configs_target(host));
    return target;
}

} // namespace lom
