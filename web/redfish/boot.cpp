// How the host boots: override, boot options, firmware settings.
#include "web/redfish/system.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace lom::web {

namespace {

const std::string usual_order = "disk cdrom net"; // OpenBoot's default boot-device

// -- boot: boot_device is used once, boot_order by every boot

/// Redfish's target, the one-time device, the device of the boot order.
struct BootTarget {
    const char* target;
    const char* once;
    const char* alias;
};
constexpr std::array<BootTarget, 7> boot_targets{{{"None", "default", ""},
                                                  {"Pxe", "pxe", "net"},
                                                  {"Hdd", "disk", "disk"},
                                                  {"Cd", "cdrom", "cdrom"},
                                                  {"UsbCd", "cdrom", "cdrom"},
                                                  {"Usb", "usb", ""},
                                                  {"BiosSetup", "bios", ""}}};

std::string order_with_first(const std::string& alias) {
    std::string order = alias;
    for (const char* other : {"disk", "cdrom", "net"})
        if (alias != other)
            order += std::string(" ") + other;
    return order;
}

/// What `order` overrides continuously, if it is such an order and not one of somebody's own.
const BootTarget* continuous_override(const std::string& order) {
    for (const BootTarget& one : boot_targets)
        if (*one.alias != '\0' && order != usual_order && order == order_with_first(one.alias))
            return &one;
    return nullptr;
}

struct BootOverride {
    std::string enabled = "Disabled";
    std::string target = "None";
};

BootOverride override_now(const Scope& scope) {
    const std::string once = scope.text(host_target, "boot_device");
    for (const BootTarget& one : boot_targets)
        if (once != "default" && once == one.once)
            return {"Once", one.target};
    const BootTarget* stands = continuous_override(scope.text(host_target, "boot_order"));
    return stands == nullptr ? BootOverride() : BootOverride{"Continuous", stands->target};
}

/// Target and Enabled say one thing together: whichever is written, both are looked at.
Task<Result<void>> override_boot(Scope& scope) {
    const json::object* boot = fields::member(scope.body, "Boot");
    BootOverride wanted = override_now(scope);
    const std::string target =
        boot == nullptr ? "" : fields::text(*boot, "BootSourceOverrideTarget");
    const std::string enabled =
        boot == nullptr ? "" : fields::text(*boot, "BootSourceOverrideEnabled");
    if (!target.empty())
        wanted.target = target;
    if (!enabled.empty())
        wanted.enabled = enabled;
    else if (wanted.enabled == "Disabled")
        wanted.enabled = "Once";
    if (wanted.enabled == "Disabled")
        wanted.target = "None";
    const auto found =
        std::find_if(boot_targets.begin(), boot_targets.end(),
                     [&](const BootTarget& one) { return one.target == wanted.target; });
    if (found == boot_targets.end())
        co_return Fault{FaultKind::invalid_value, "There is no such boot target."};
    const bool continuous = wanted.enabled == "Continuous";
    if (continuous && *found->alias == '\0' && wanted.target != "None")
        co_return Fault{FaultKind::invalid_value,
                        wanted.target + " can be asked for one boot only; use Once."};
    // Named, because g++ 12 destroys the temporaries of a conditional in co_await twice.
    std::string once = continuous ? "default" : found->once;
    std::string order = usual_order;
    if (continuous && *found->alias != '\0')
        order = order_with_first(found->alias);
    auto done = co_await set_in_tree(scope, host_target, "boot_device", once);
    // An override takes the place of the one before; an order of somebody's own outlives Once.
    const bool replaces = continuous_override(scope.text(host_target, "boot_order")) != nullptr;
    if (done && (continuous || replaces))
        done = co_await set_in_tree(scope, host_target, "boot_order", order);
    co_return done;
}

json::array order_now(const Scope& scope) {
    json::array order;
    std::istringstream aliases(scope.text(host_target, "boot_order"));
    for (std::string alias; aliases >> alias;)
        order.emplace_back(alias);
    return order;
}

Result<std::string> order_text(const json::value& order) {
    std::string text;
    for (const json::value& alias : order.get_array()) {
        if (!alias.is_string())
            return Fault{FaultKind::invalid_value, "A boot order names boot options, as text."};
        text += (text.empty() ? "" : " ") + std::string(alias.get_string());
    }
    return text;
}

Task<Response> usual_boot_order(Scope& scope, json::object) {
    std::string order = usual_order;
    const auto done = co_await set_in_tree(scope, host_target, "boot_order", std::move(order));
    co_return done ? no_content() : fault_response(done.fault());
}

Task<Result<void>> set_boot_mode(Scope& scope, json::value value) {
    const std::string wanted = value.get_string() == "UEFI" ? "uefi" : "bios";
    if (scope.text(hardware_target, "firmware") == wanted)
        co_return Result<void>(); // as it is: allowed while the host runs
    auto done = co_await set_in_tree(scope, hardware_target, "firmware", wanted);
    co_return done;
}

// -- boot options: what the boot order may name

Resource boot_options() {
    Resource collection(system_uri + "/BootOptions", "BootOptionCollection.BootOptionCollection");
    collection.constant("Name", "Boot options");
    collection.members([](const Scope&) {
        return std::vector{system_uri + "/BootOptions/disk", system_uri + "/BootOptions/cdrom",
                           system_uri + "/BootOptions/net"};
    });
    return collection;
}

Resource boot_option() {
    Resource one(system_uri + "/BootOptions/{}", "BootOption.v1_0_6.BootOption");
    one.body([](const Scope& scope) -> json::object {
        for (const auto& [alias, target] : Words{{"disk", "Hdd"}, {"cdrom", "Cd"}, {"net", "Pxe"}})
            if (scope.ids[0] == alias)
                return {{"Id", alias},
                        {"Name", "Boot from " + alias},
                        {"Alias", target},
                        {"BootOptionReference", alias},
                        {"BootOptionEnabled", true},
                        {"DisplayName", alias}};
        return {};
    });
    return one;
}

// -- firmware settings

/// One attribute of Bios, which is one property of the tree.
struct Attribute {
    const char* name;
    std::string target;
    const char* property;
    std::vector<std::string> allowed;
};

const std::vector<Attribute>& attributes() {
    static const std::vector<Attribute> all{
        {"Firmware", hardware_target, "firmware", {"bios", "uefi"}},
        {"Machine", hardware_target, "machine", {"q35", "pc"}},
        {"BootOrder", host_target, "boot_order", {}},
        {"BootModeScript", "/HOST/bootmode", "script", {}},
        {"BootModeState", "/HOST/bootmode", "state", {"normal", "reset_nvram"}},
        {"ConsoleEscape", "/HOST/console", "escapechars", {}}};
    return all;
}

Task<Response> reset_bios(Scope& scope, json::object) {
    const auto done = co_await set_in_tree(scope, "/HOST/bootmode", "state", "reset_nvram");
    co_return done ? no_content() : fault_response(done.fault());
}

/// The same attributes at Bios and at Bios/Settings: a change is kept at once, and acts at the next
/// boot.
Resource bios(const std::string& at, bool current) {
    Resource one(at, "Bios.v1_2_2.Bios");
    one.shows(hardware_target).shows(host_target).shows("/HOST/bootmode").shows("/HOST/console");
    one.constant("Id", current ? "Bios" : "Settings");
    one.constant("Name", current ? "Firmware settings" : "Firmware settings of the next boot");
    for (const Attribute& attribute : attributes()) {
        Field field{.at = std::string("Attributes/") + attribute.name,
                    .read =
                        [&attribute](const Scope& scope) {
                            return json::value(scope.text(attribute.target, attribute.property));
                        },
                    .target = attribute.target,
                    .property = attribute.property,
                    .convert = [](const json::value& value) -> Result<std::string> {
                        return std::string(value.get_string());
                    }};
        one.field(std::move(field));
    }
    if (current) {
        one.constant("@Redfish.Settings",
                     json::object{{"@odata.type", "#Settings.v1_3_5.Settings"},
                                  {"SettingsObject", link_to(system_uri + "/Bios/Settings")},
                                  {"SupportedApplyTimes", json::array{"OnReset"}}});
        one.action({"Bios.ResetBios", {}, reset_bios});
    }
    return one;
}

} // namespace

void declare_boot_fields(Resource& system) {
    Field target{.at = "Boot/BootSourceOverrideTarget",
                 .read = [](const Scope& scope) { return json::value(override_now(scope).target); },
                 .write = [](Scope& scope, json::value) { return override_boot(scope); }};
    for (const BootTarget& one : boot_targets)
        target.allowed.emplace_back(one.target);
    system.field(std::move(target));
    system.field(
        {.at = "Boot/BootSourceOverrideEnabled",
         .read = [](const Scope& scope) { return json::value(override_now(scope).enabled); },
         .write = [](Scope& scope, json::value) { return override_boot(scope); },
         .allowed = {"Disabled", "Once", "Continuous"}});
    system.field({.at = "Boot/BootSourceOverrideMode",
                  .read =
                      [](const Scope& scope) {
                          return json::value(scope.text(hardware_target, "firmware") == "uefi"
                                                 ? "UEFI"
                                                 : "Legacy");
                      },
                  .write = set_boot_mode,
                  .allowed = {"Legacy", "UEFI"}});
    system.link("Boot/BootOptions", system_uri + "/BootOptions");
    system.field({.at = "Boot/BootOrder",
                  .read = [](const Scope& scope) { return json::value(order_now(scope)); },
                  .target = host_target,
                  .property = "boot_order",
                  .convert = order_text,
                  .kind = json::kind::array});
    system.action({"ComputerSystem.SetDefaultBootOrder", {}, usual_boot_order});
}

void declare_boot(std::vector<Resource>& all) {
    all.push_back(boot_options());
    all.push_back(boot_option());
    all.push_back(bios(system_uri + "/Bios", true));
    all.push_back(bios(system_uri + "/Bios/Settings", false));
}

} // namespace lom::web
