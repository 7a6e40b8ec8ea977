// The host as a ComputerSystem: power, boot, firmware settings, and what it is made of.
#include "web/redfish/resource.h"

#include <algorithm>
#include <array>

namespace lom::web {

namespace {

const std::string uri = "/redfish/v1/Systems/host0";
const std::string host = "/HOST";
const std::string hardware = "/System";
const std::string disks = "/System/Storage/Disks";
const std::string nics = "/System/Networking/Ethernet_NICs";
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

struct BootOverride {
    std::string enabled = "Disabled";
    std::string target = "None";
};

BootOverride override_now(const Scope& scope) {
    const std::string once = scope.text(host, "boot_device");
    const std::string order = scope.text(host, "boot_order");
    const std::string first = order.substr(0, order.find(' '));
    for (const BootTarget& one : boot_targets) {
        if (once != "default" && once == one.once)
            return {"Once", one.target};
        if (once == "default" && order != usual_order && first == one.alias && !first.empty())
            return {"Continuous", one.target};
    }
    return {};
}

std::string order_with_first(const std::string& alias) {
    std::string order = alias;
    for (const char* other : {"disk", "cdrom", "net"})
        if (alias != other)
            order += std::string(" ") + other;
    return order;
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
    auto done = co_await set_in_tree(scope, host, "boot_device", once);
    // A one-time device goes before the order that stays.
    if (done && wanted.enabled != "Once")
        done = co_await set_in_tree(scope, host, "boot_order", order);
    co_return done;
}

Task<Result<void>> set_boot_mode(Scope& scope, json::value value) {
    const std::string wanted = value.get_string() == "UEFI" ? "uefi" : "bios";
    if (scope.text(hardware, "firmware") == wanted)
        co_return Result<void>(); // as it is: allowed while the host runs
    auto done = co_await set_in_tree(scope, hardware, "firmware", wanted);
    co_return done;
}

void declare_boot(Resource& system) {
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
                          return json::value(scope.text(hardware, "firmware") == "uefi" ? "UEFI"
                                                                                        : "Legacy");
                      },
                  .write = set_boot_mode,
                  .allowed = {"Legacy", "UEFI"}});
    system.link("Boot/BootOptions", uri + "/BootOptions");
    system.computed("Boot/BootOrder", [](const Scope& scope) {
        json::array order;
        std::string rest = scope.text(host, "boot_order");
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(' '), rest.size());
            order.emplace_back(rest.substr(0, end));
            rest = rest.substr(std::min(end + 1, rest.size()));
        }
        return json::value(std::move(order));
    });
}

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
    auto view = co_await scope.session->show(hardware, 1);
    if (!view)
        co_return fault_response(view.fault());
    scope.views[hardware] = std::move(*view);
    const std::string power = scope.text(hardware, "power_state");
    if (wanted == "Nmi") {
        const auto sent = co_await set_in_tree(scope, host, "generate_host_nmi", "true");
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
    const auto done = co_await run_in_tree(scope, hardware, std::move(verb), type->force);
    co_return done ? no_content() : fault_response(done.fault());
}

// -- the system itself

json::object status_of_host(const Scope& scope) {
    const bool faulty =
        scope.text(hardware, "health") != "OK" && !scope.text(hardware, "health").empty();
    return {{"State", scope.text(hardware, "power_state") == "On" ? "Enabled" : "Disabled"},
            {"Health", faulty ? "Critical" : "OK"},
            {"HealthRollup", faulty ? "Critical" : "OK"}};
}

json::object healthy() { return {{"State", "Enabled"}, {"Health", "OK"}}; }

/// "4 GB", "512 MB" in bytes.
std::int64_t bytes_of(const Scope& scope, const std::string& target, const std::string& property) {
    return scope.number(target, property);
}

Resource systems() {
    Resource collection("/redfish/v1/Systems", "ComputerSystemCollection.ComputerSystemCollection");
    collection.constant("Name", "Systems");
    collection.members([](const Scope&) { return std::vector{uri}; });
    return collection;
}

Resource system() {
    Resource one(uri, "ComputerSystem.v1_22_0.ComputerSystem");
    one.shows(hardware)
        .shows(host)
        .shows("/SP")
        .shows("/System/Processors")
        .shows("/System/Memory");
    one.constant("Id", "host0").constant("SystemType", "Virtual");
    one.computed("Name", [](const Scope& scope) {
        const std::string label = scope.text(hardware, "system_identifier");
        return json::value(label.empty() ? "host0" : label);
    });
    one.text("Manufacturer", hardware, "manufacturer").text("Model", hardware, "model");
    one.text("SerialNumber", hardware, "serial_number");
    one.text("PartNumber", hardware, "part_number").text("UUID", hardware, "uuid");
    one.text("AssetTag", hardware, "asset_tag", true);
    one.text("HostName", "/SP", "current_hostname");
    one.text("PowerState", hardware, "power_state");
    one.computed("Status", [](const Scope& scope) { return json::value(status_of_host(scope)); });
    one.computed("BiosVersion", [](const Scope& scope) {
        return json::value(scope.text(hardware, "firmware") == "uefi" ? "OVMF" : "SeaBIOS");
    });
    declare_boot(one);
    one.number("ProcessorSummary/CoreCount", "/System/Processors", "installed_cpus");
    one.number("ProcessorSummary/LogicalProcessorCount", "/System/Processors", "installed_cpus");
    one.constant("ProcessorSummary/Count", 1);
    one.constant("ProcessorSummary/Model", "x86_64");
    one.constant("ProcessorSummary/Status", healthy());
    one.computed("MemorySummary/TotalSystemMemoryGiB", [](const Scope& scope) {
        return json::value(
            static_cast<double>(bytes_of(scope, "/System/Memory", "installed_memory")) /
            (1U << 30U));
    });
    one.constant("MemorySummary/Status", healthy());
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
        return json::value(json::object{{"@odata.type", "#OpenLOM.v1_0_0.System"},
                                        {"HostStatus", scope.text(host, "status")},
                                        {"HostStatusDetail", scope.text(host, "status_detail")},
                                        {"SerialConsole", "/console/serial"},
                                        {"Screen", "/console/screen"},
                                        {"Tree", link_to("/redfish/v1/Oem/OpenLOM/Tree/HOST")}});
    });
    for (const char* part : {"Bios", "EthernetInterfaces", "LogServices", "Memory", "Processors",
                             "Storage", "VirtualMedia"})
        one.link(part, uri + "/" + part);
    one.constant("Links/Chassis", json::array{link_to("/redfish/v1/Chassis/host0")});
    one.constant("Links/ManagedBy", json::array{link_to("/redfish/v1/Managers/sp")});
    Parameter type{.name = "ResetType", .required = true};
    for (const ResetType& known : reset_types)
        type.allowed.emplace_back(known.name);
    type.allowed.emplace_back("Nmi");
    one.action({"ComputerSystem.Reset", {std::move(type)}, reset_system});
    return one;
}

// -- boot options: what the boot order may name

Resource boot_options() {
    Resource collection(uri + "/BootOptions", "BootOptionCollection.BootOptionCollection");
    collection.constant("Name", "Boot options");
    collection.members([](const Scope&) {
        return std::vector{uri + "/BootOptions/disk", uri + "/BootOptions/cdrom",
                           uri + "/BootOptions/net"};
    });
    return collection;
}

Resource boot_option() {
    Resource one(uri + "/BootOptions/{}", "BootOption.v1_0_6.BootOption");
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
        {"Firmware", hardware, "firmware", {"bios", "uefi"}},
        {"Machine", hardware, "machine", {"q35", "pc"}},
        {"BootOrder", host, "boot_order", {}},
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
    one.shows(hardware).shows(host).shows("/HOST/bootmode").shows("/HOST/console");
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
                                  {"SettingsObject", link_to(uri + "/Bios/Settings")},
                                  {"SupportedApplyTimes", json::array{"OnReset"}}});
        one.action({"Bios.ResetBios", {}, reset_bios});
    }
    return one;
}

// -- parts

Resource collection_of(const std::string& name, const std::string& type,
                       const std::string& target) {
    Resource collection(uri + "/" + name, type + "Collection." + type + "Collection");
    collection.shows(target).constant("Name", json::value(name));
    collection.members([name, target](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& child : scope.view(target)->targets)
            uris.push_back(uri + "/" + name + "/" + child.name);
        return uris;
    });
    return collection;
}

Resource fixed_collection(const std::string& name, const std::string& type,
                          const std::string& member) {
    Resource collection(uri + "/" + name, type + "Collection." + type + "Collection");
    collection.constant("Name", json::value(name));
    collection.members(
        [name, member](const Scope&) { return std::vector{uri + "/" + name + "/" + member}; });
    return collection;
}

Resource processor() {
    Resource one(uri + "/Processors/CPU", "Processor.v1_20_0.Processor");
    one.shows("/System/Processors");
    one.constant("Id", "CPU").constant("Name", "Virtual processors");
    one.constant("ProcessorType", "CPU").constant("ProcessorArchitecture", "x86");
    one.constant("InstructionSet", "x86-64").constant("Status", healthy());
    one.number("TotalCores", "/System/Processors", "installed_cpus");
    one.number("TotalThreads", "/System/Processors", "installed_cpus");
    return one;
}

Resource memory() {
    Resource one(uri + "/Memory/Main", "Memory.v1_20_0.Memory");
    one.shows("/System/Memory");
    one.constant("Id", "Main").constant("Name", "Memory").constant("Status", healthy());
    one.constant("MemoryType", "DRAM");
    one.computed("CapacityMiB", [](const Scope& scope) {
        return json::value(bytes_of(scope, "/System/Memory", "installed_memory") >> 20U);
    });
    return one;
}

Resource storage() {
    Resource one(uri + "/Storage/Disks", "Storage.v1_17_1.Storage");
    one.shows(disks);
    one.constant("Id", "Disks").constant("Name", "Disks").constant("Status", healthy());
    one.computed("Drives", [](const Scope& scope) {
        json::array drives;
        for (const control::TargetView& disk : scope.view(disks)->targets)
            drives.push_back(link_to(uri + "/Storage/Disks/Drives/" + disk.name));
        return json::value(std::move(drives));
    });
    one.computed("Drives@odata.count",
                 [](const Scope& scope) { return json::value(scope.view(disks)->targets.size()); });
    one.link("Controllers", uri + "/Storage/Disks/Controllers");
    one.link("Volumes", uri + "/Storage/Disks/Volumes");
    return one;
}

Resource controllers() {
    Resource collection(uri + "/Storage/Disks/Controllers",
                        "StorageControllerCollection.StorageControllerCollection");
    collection.constant("Name", "Controllers");
    collection.members(
        [](const Scope&) { return std::vector{uri + "/Storage/Disks/Controllers/virtio"}; });
    return collection;
}

Resource controller() {
    Resource one(uri + "/Storage/Disks/Controllers/virtio",
                 "StorageController.v1_8_0.StorageController");
    one.constant("Id", "virtio").constant("Name", "virtio block devices");
    one.constant("Status", healthy());
    one.constant("SupportedControllerProtocols", json::array{"PCIe"});
    return one;
}

/// A virtual disk is a volume that fills its drive. "disk1": the first name that is free.
std::string free_disk_name(const control::TargetView& view) {
    for (int number = 0;; ++number) {
        const std::string name = "disk" + std::to_string(number);
        const bool taken = std::any_of(view.targets.begin(), view.targets.end(),
                                       [&](const auto& disk) { return disk.name == name; });
        if (!taken)
            return name;
    }
}

Task<Response> create_volume(Scope& scope, json::object body) {
    boost::system::error_code error;
    const json::value* capacity = body.if_contains("CapacityBytes");
    const auto bytes = capacity == nullptr ? 0 : capacity->to_number<std::int64_t>(error);
    std::vector<Message> wrong;
    if (capacity == nullptr)
        wrong.push_back({"PropertyMissing", {"CapacityBytes"}, "#/CapacityBytes"});
    else if (error || bytes <= 0)
        wrong.push_back({"PropertyValueTypeError",
                         {json::serialize(*capacity), "CapacityBytes"},
                         "#/CapacityBytes"});
    for (const auto& [key, value] : body)
        if (key != "CapacityBytes" && key != "Name" && key != "RAIDType" &&
            !key.starts_with("@Redfish."))
            wrong.push_back({"PropertyUnknown", {std::string(key)}, "#/" + std::string(key)});
    if (!wrong.empty())
        co_return error_response(400, wrong);
    const auto view = co_await scope.session->show(disks, 1);
    if (!view)
        co_return fault_response(view.fault());
    const std::string name = free_disk_name(*view);
    control::RunRequest request;
    request.target = disks + "/" + name;
    request.verb = "create";
    request.properties.emplace_back("size", std::to_string(bytes));
    const auto created = co_await scope.session->run(std::move(request));
    if (!created)
        co_return fault_response(created.fault());
    const std::string made = uri + "/Storage/Disks/Volumes/" + name;
    Response response = json_response(201, link_to(made));
    co_return std::move(response.with("Location", made));
}

Resource volumes() {
    Resource collection(uri + "/Storage/Disks/Volumes", "VolumeCollection.VolumeCollection");
    collection.shows(disks).constant("Name", "Volumes");
    collection.constant("@Redfish.OperationApplyTimeSupport",
                        json::object{{"@odata.type", "#Settings.v1_3_5.OperationApplyTimeSupport"},
                                     {"SupportedValues", json::array{"Immediate"}}});
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& disk : scope.view(disks)->targets)
            uris.push_back(uri + "/Storage/Disks/Volumes/" + disk.name);
        return uris;
    });
    collection.creates(create_volume);
    return collection;
}

Resource volume() {
    const std::string target = disks + "/{0}";
    Resource one(uri + "/Storage/Disks/Volumes/{}", "Volume.v1_10_1.Volume");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Volume " + scope.ids[0]); });
    one.number("CapacityBytes", target, "disk_size");
    one.constant("RAIDType", "None").constant("Status", healthy());
    one.computed("Links/Drives", [](const Scope& scope) {
        return json::value(json::array{link_to(uri + "/Storage/Disks/Drives/" + scope.ids[0])});
    });
    one.deletes([](Scope& scope) -> Task<Response> {
        const auto done = co_await run_in_tree(scope, disks + "/{0}", "delete", false);
        co_return done ? no_content() : fault_response(done.fault());
    });
    return one;
}

Resource disk() {
    const std::string target = disks + "/{0}";
    Resource one(uri + "/Storage/Disks/Drives/{}", "Drive.v1_20_1.Drive");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Disk " + scope.ids[0]); });
    one.number("CapacityBytes", target, "disk_size");
    one.text("Description", target, "type");
    one.constant("MediaType", "HDD").constant("Protocol", "PCIe").constant("Status", healthy());
    return one;
}

Resource nic() {
    const std::string target = nics + "/{0}";
    Resource one(uri + "/EthernetInterfaces/{}", "EthernetInterface.v1_12_2.EthernetInterface");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) {
        return json::value("Network interface " + scope.ids[0]);
    });
    one.text("Description", target, "network");
    one.text("MACAddress", target, "mac_address")
        .text("PermanentMACAddress", target, "mac_address");
    one.constant("InterfaceEnabled", true).constant("Status", healthy());
    return one;
}

} // namespace

void declare_systems(std::vector<Resource>& all) {
    all.push_back(systems());
    all.push_back(system());
    all.push_back(boot_options());
    all.push_back(boot_option());
    all.push_back(bios(uri + "/Bios", true));
    all.push_back(bios(uri + "/Bios/Settings", false));
    all.push_back(fixed_collection("Processors", "Processor", "CPU"));
    all.push_back(processor());
    all.push_back(fixed_collection("Memory", "Memory", "Main"));
    all.push_back(memory());
    all.push_back(fixed_collection("Storage", "Storage", "Disks"));
    all.push_back(storage());
    all.push_back(controllers());
    all.push_back(controller());
    all.push_back(volumes());
    all.push_back(volume());
    all.push_back(disk());
    all.push_back(collection_of("EthernetInterfaces", "EthernetInterface", nics));
    all.push_back(nic());
}

} // namespace lom::web
