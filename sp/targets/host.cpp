// /HOST: boot control and the host's state.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

#include <algorithm>

namespace lom {

enum class BootDeviceChoice { default_order, pxe, disk, cdrom, bios };
template <>
struct Names<BootDeviceChoice> {
    static constexpr const char* all[] = {"default", "pxe", "disk", "cdrom", "usb", "bios"};
};
enum class BootModeState { normal, reset_nvram };
template <>
struct Names<BootModeState> {
    static constexpr const char* all[] = {"normal", "reset_nvram"};
};
enum class BreakAction { break_signal };
template <>
struct Names<BreakAction> {
    static constexpr const char* all[] = {"break"};
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

Result<SetOutcome> outcome(const Result<void>& done) {
    return done ? Result<SetOutcome>(SetOutcome{}) : done.fault();
}

std::string name_of(BootDeviceChoice choice) {
    return Names<BootDeviceChoice>::all[static_cast<std::size_t>(choice)];
}

Target::Ptr bootmode_target(vmm::Host& host) {
    auto target = Target::make("bootmode", "Overrides how the next boot goes; used up by it.");
    target->shows<std::string>("expires", "When 'state' goes back to normal by itself.", [&host] {
        const auto& expires = host.boot().state().expires;
        return expires ? clock_text(std::chrono::system_clock::to_time_t(*expires)) : "";
    });
    target->managed<BootScript>(
        {.name = "script",
         .doc = "OpenBoot commands for the next boot, separated by ';' or newlines, 1000 bytes at "
                "most.",
         .write = Role::reset,
         .get = [&host] { return BootScript{host.boot().state().script}; },
         .set =
             [&host](const Caller&, const BootScript& script, const Property::Done& done) {
                 done(outcome(host.boot().set_script(script.text)));
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
                 done(outcome(host.boot().set_reset_nvram(state == BootModeState::reset_nvram)));
             }});
    return target;
}

} // namespace

Target::Ptr host_target(const TargetContext& context) {
    vmm::Host& host = context.host.host();
    auto target = Target::make("HOST", "The host: boot control, console, state.");
    target->persistent<AutoRestart>(
        context.host.settings().autorestart,
        {.name = "autorestart",
         .doc =
             "reset: a guest that has panicked, or whose code KVM cannot run, is reset; none: it "
             "is left for you to look at.",
         .write = Role::reset,
         .changed = [managed = &context.host] { managed->restart_crashed(); }});
    target->managed<BootDeviceChoice>(
        {.name = "boot_device",
         .doc = "Device of the next boot only; it is 'default' again afterwards.",
         .write = Role::reset,
         .get =
             [&host] {
                 return Codec<BootDeviceChoice>::unwrap(Value(host.boot().state().boot_device));
             },
         .set =
             [&host](const Caller&, BootDeviceChoice choice, const Property::Done& done) {
                 done(outcome(host.boot().set_boot_device(name_of(choice))));
             }});
    target->managed<std::string>(
        {.name = "boot_order",
         .doc = "Devices that every boot tries, in order: OpenBoot's boot-device, as 'disk cdrom "
                "net'.",
         .write = Role::reset,
         .get = [&host] { return host.boot().boot_order(); },
         .set =
             [&host](const Caller&, const std::string& devices, const Property::Done& done) {
                 done(outcome(host.boot().set_boot_order(devices)));
             }});
    target->managed<bool>({.name = "generate_host_nmi",
                           .doc = "Set to true to send the host a non-maskable interrupt.",
                           .write = Role::admin | Role::reset,
                           .set = [&host](const Caller&, bool send, const Property::Done& done) {
                               if (!send)
                                   return done(SetOutcome{});
                               host.inject_nmi([done](const Result<void>& r) { done(outcome(r)); });
                           }});
    target->managed<BreakAction>(
        {.name = "send_break_action",
         .doc = "Set to break to send a break on the host's serial console.",
         .write = Role::console | Role::reset,
         .set = [&host](const Caller&, BreakAction, const Property::Done& done) {
             host.send_break([done](const Result<void>& r) { done(outcome(r)); });
         }});
    target->shows<std::string>("hypervisor_version", "Version of QEMU.",
                               [versions = context.versions] { return versions->qemu; });
    target->shows<std::string>("obp_version", "Version of what speaks at the ok prompt.",
                               [] { return std::string("OpenLOM boot monitor " LOM_VERSION); });
    target->shows<std::string>("sysfw_version", "Firmware that the host boots with.",
                               [&host, versions = context.versions] {
                                   return host.definition().firmware == vmm::Firmware::uefi
                                              ? versions->uefi
                                              : versions->bios;
                               });
    target->shows<std::string>("status", "What the host does.", [&host] {
        return std::string(vmm::host_status_text(host.status()));
    });
    target->shows<std::string>("status_detail", "The same in a sentence.",
                               [&host] { return host.status_detail(); });
    target->child(bootmode_target(host));
    return target;
}

} // namespace lom
