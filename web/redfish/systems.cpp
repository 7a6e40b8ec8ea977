// The host as a ComputerSystem: identity, power, and links to what it is made of.
#include "web/redfish/system.h"

#include <algorithm>
#include <array>

namespace lom::web {

namespace {

// -- power

struct ResetType {
    const char* name;
    const char* verb;
    bool force;
    const char* already; ///< the power state in which there is nothing to do; empty: none
};
constexpr std::array<ResetType, 7> reset_types{{{"On", "start", false, "On"},
                                                {"ForceOn", "start", false, "On"},
                                                {"ForceOff", "stop", true, "Off"},
                                                {"GracefulShutdown", "stop", false, "Off"},
                                                {"ForceRestart", "reset", true, ""},
                                                {"PowerCycle", "reset", true, ""},
                                                {"PushPowerButton", "", false, ""}}};

Task<Response> reset_system(Scope& scope, json::object body) {
    const std::string wanted = fields::text(body, "ResetType");
    auto view = co_await scope.session->show(hardware_target, 1);
    if (!view)
        co_return fault_response(view.fault());
    scope.views[hardware_target] = std::move(*view);
    const std::string power = scope.text(hardware_target, "power_state");
    if (wanted == "Nmi" || wanted == "GracefulRestart") {
        std::string property = wanted == "Nmi" ? "generate_host_nmi" : "graceful_restart";
        const auto sent = co_await set_in_tree(scope, host_target, std::move(property), "true");
        co_return sent ? no_content() : fault_response(sent.fault());
    }
    const auto type = std::find_if(reset_types.begin(), reset_types.end(),
                                   [&](const ResetType& one) { return one.name == wanted; });
    if (type == reset_types.end() || power == type->already)
        co_return no_content();
    std::string verb = type->verb;
    if (verb.empty())
        verb = power == "On" ? "stop" : "start";
    if (verb == "reset" && power == "Off")
        verb = "start";
    const auto done = co_await run_in_tree(scope, hardware_target, std::move(verb), type->force);
    co_return done ? no_content() : fault_response(done.fault());
}

// -- the system itself

json::object status_of_host(const Scope& scope) {
    const bool faulty = scope.text(hardware_target, "health") != "OK" &&
                        !scope.text(hardware_target, "health").empty();
    return {{"State", scope.text(hardware_target, "power_state") == "On" ? "Enabled" : "Disabled"},
            {"Health", faulty ? "Critical" : "OK"},
            {"HealthRollup", faulty ? "Critical" : "OK"}};
}

Resource systems() {
    Resource collection("/redfish/v1/Systems", "ComputerSystemCollection.ComputerSystemCollection");
    collection.constant("Name", "Systems");
    collection.members([](const Scope&) { return std::vector{system_uri}; });
    return collection;
}

Resource system() {
    Resource one(system_uri, "ComputerSystem.v1_22_0.ComputerSystem");
    one.shows(hardware_target)
        .shows(host_target)
        .shows("/SP")
        .shows("/System/Processors")
        .shows("/System/Memory");
    one.constant("Id", "host0").constant("SystemType", "Virtual");
    one.computed("Name", [](const Scope& scope) {
        const std::string label = scope.text(hardware_target, "system_identifier");
        return json::value(label.empty() ? "host0" : label);
    });
    one.text("Manufacturer", hardware_target, "manufacturer")
        .text("Model", hardware_target, "model");
    one.text("SerialNumber", hardware_target, "serial_number");
    one.text("PartNumber", hardware_target, "part_number").text("UUID", hardware_target, "uuid");
    one.text("AssetTag", hardware_target, "asset_tag", true);
    one.text("HostName", "/SP", "current_hostname");
    one.text("PowerState", hardware_target, "power_state");
    one.computed("Status", [](const Scope& scope) { return json::value(status_of_host(scope)); });
    one.computed("BiosVersion", [](const Scope& scope) {
        return json::value(scope.text(hardware_target, "firmware") == "uefi" ? "OVMF" : "SeaBIOS");
    });
    declare_boot_fields(one);
    one.number("ProcessorSummary/CoreCount", "/System/Processors", "installed_cpus");
    one.number("ProcessorSummary/LogicalProcessorCount", "/System/Processors", "installed_cpus");
    one.constant("ProcessorSummary/Count", 1);
    one.constant("ProcessorSummary/Model", "x86_64");
    one.computed("MemorySummary/TotalSystemMemoryGiB", [](const Scope& scope) {
        return json::value(static_cast<double>(scope.number("/System/Memory", "installed_memory")) /
                           (1U << 30U));
    });
    one.constant("SerialConsole/SSH",
                 json::object{{"ServiceEnabled", true},
                              {"ConsoleEntryCommand", "start -script /HOST/console"},
                              {"SharedWithManagerCLI", true},
                              {"HotKeySequenceDisplay", "#. leaves the console"}});
    one.constant("SerialConsole/MaxConcurrentSessions", 600);
    one.constant("GraphicalConsole",
                 json::object{{"ServiceEnabled", true},
                              {"MaxConcurrentSessions", 100},
                              {"ConnectTypesSupported", json::array{"KVMIP", "OEM"}}});
    one.computed("Oem/OpenLOM", [](const Scope& scope) {
        json::object ours{{"@odata.type", "#OpenLOM.v1_0_0.System"},
                          {"HostStatus", scope.text(host_target, "status")},
                          {"SerialConsole", "/console/serial"},
                          {"Screen", "/console/screen"},
                          {"Tree", link_to("/redfish/v1/Oem/OpenLOM/Tree/HOST")}};
        if (std::string detail = scope.text(host_target, "status_detail"); !detail.empty())
            ours["HostStatusDetail"] = std::move(detail);
        return json::value(std::move(ours));
    });
    for (const char* part : {"Bios", "EthernetInterfaces", "LogServices", "Memory", "Processors",
                             "Storage", "VirtualMedia"})
        one.link(part, system_uri + "/" + part);
    one.constant("Links/Chassis", json::array{link_to("/redfish/v1/Chassis/host0")});
    one.constant("Links/ManagedBy", json::array{link_to("/redfish/v1/Managers/sp")});
    Parameter type{.name = "ResetType", .required = true};
    for (const ResetType& known : reset_types)
        type.allowed.emplace_back(known.name);
    for (const char* property_of_host : {"GracefulRestart", "Nmi"})
        type.allowed.emplace_back(property_of_host);
    one.action({"ComputerSystem.Reset", {std::move(type)}, reset_system});
    return one;
}

} // namespace

void declare_systems(std::vector<Resource>& all) {
    all.push_back(systems());
    all.push_back(system());
    declare_boot(all);
    declare_parts(all);
}

} // namespace lom::web
