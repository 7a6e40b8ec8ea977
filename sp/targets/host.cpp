// /HOST: boot control and the host's state.
#include "sp/targets/targets.h"

namespace lom {

enum class BootDeviceChoice { default_order, pxe, disk, cdrom, usb, bios };
template <>
struct Names<BootDeviceChoice> {
    static constexpr const char* all[] = {"default", "pxe", "disk", "cdrom", "usb", "bios"};
    static constexpr const char* docs[] = {
        "As boot_order says.", "From the network, by PXE.", "From the first disk.",
        "From a CD drive.",    "From the USB disk device.", "Into the firmware's set-up."};
};
enum class BreakAction { break_signal };
template <>
struct Names<BreakAction> {
    static constexpr const char* all[] = {"break"};
    static constexpr const char* docs[] = {"A serial break: SysRq on Linux."};
};

namespace {

Result<SetOutcome> outcome(const Result<void>& done) {
    return done ? Result<SetOutcome>(SetOutcome{}) : done.fault();
}

std::string name_of(BootDeviceChoice choice) {
    return Names<BootDeviceChoice>::all[static_cast<std::size_t>(choice)];
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
             "is left for you to look at. A guest that merely hangs is not noticed.",
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
                 answer_for_next_boot(host, host.boot().set_boot_device(name_of(choice)), done);
             }});
    target->managed<std::string>(
        {.name = "boot_order",
         .doc = "Devices that every boot tries, in order: OpenBoot's boot-device, as 'disk cdrom "
                "net'.",
         .write = Role::reset,
         .get = [&host] { return host.boot().boot_order(); },
         .set =
             [&host](const Caller&, const std::string& devices, const Property::Done& done) {
                 answer_for_next_boot(host, host.boot().set_boot_order(devices), done);
             }});
    target->managed<bool>({.name = "generate_host_nmi",
                           .doc = "Set to true to send the host a non-maskable interrupt.",
                           .write = Role::admin | Role::reset,
                           .set = [&host](const Caller&, bool send, const Property::Done& done) {
                               if (!send)
                                   return done(SetOutcome{});
                               host.inject_nmi([done](const Result<void>& r) { done(outcome(r)); });
                           }});
    target->managed<bool>(
        {.name = "graceful_restart",
         .doc = "Set to true to have the guest shut down and the host start again.",
         .write = Role::reset,
         .set = [&host](const Caller&, bool restart, const Property::Done& done) {
             if (!restart)
                 return done(SetOutcome{});
             host.restart_gracefully([done](const Result<void>& r) { done(outcome(r)); });
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
    target->child(domain_target(host));
    return target;
}

} // namespace lom
