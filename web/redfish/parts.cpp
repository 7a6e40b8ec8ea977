// What the host is made of: processors, memory, storage, network.
#include "web/redfish/system.h"

#include <algorithm>

namespace lom::web {

namespace {

const std::string disks = "/System/Storage/Disks";
const std::string nics = "/System/Networking/Ethernet_NICs";

Resource collection_of(const std::string& name, const std::string& type,
                       const std::string& target) {
    Resource collection(system_uri + "/" + name, type + "Collection." + type + "Collection");
    collection.shows(target).constant("Name", json::value(name));
    collection.members([name, target](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& child : scope.view(target)->targets)
            uris.push_back(system_uri + "/" + name + "/" + child.name);
        return uris;
    });
    return collection;
}

Resource fixed_collection(const std::string& name, const std::string& type,
                          const std::string& member) {
    Resource collection(system_uri + "/" + name, type + "Collection." + type + "Collection");
    collection.constant("Name", json::value(name));
    collection.members([name, member](const Scope&) {
        return std::vector{system_uri + "/" + name + "/" + member};
    });
    return collection;
}

Resource processor() {
    Resource one(system_uri + "/Processors/CPU", "Processor.v1_20_0.Processor");
    one.shows("/System/Processors");
    one.constant("Id", "CPU").constant("Name", "Virtual processors");
    one.constant("ProcessorType", "CPU").constant("ProcessorArchitecture", "x86");
    one.constant("InstructionSet", "x86-64").constant("Status", healthy());
    one.number("TotalCores", "/System/Processors", "installed_cpus");
    one.number("TotalThreads", "/System/Processors", "installed_cpus");
    return one;
}

Resource memory() {
    Resource one(system_uri + "/Memory/Main", "Memory.v1_20_0.Memory");
    one.shows("/System/Memory");
    one.constant("Id", "Main").constant("Name", "Memory").constant("Status", healthy());
    one.constant("MemoryType", "DRAM");
    one.computed("CapacityMiB", [](const Scope& scope) {
        return json::value(scope.number("/System/Memory", "installed_memory") >> 20U);
    });
    return one;
}

Resource storage() {
    Resource one(system_uri + "/Storage/Disks", "Storage.v1_17_1.Storage");
    one.shows(disks);
    one.constant("Id", "Disks").constant("Name", "Disks").constant("Status", healthy());
    one.computed("Drives", [](const Scope& scope) {
        json::array drives;
        for (const control::TargetView& disk : scope.view(disks)->targets)
            drives.push_back(link_to(system_uri + "/Storage/Disks/Drives/" + disk.name));
        return json::value(std::move(drives));
    });
    one.computed("Drives@odata.count",
                 [](const Scope& scope) { return json::value(scope.view(disks)->targets.size()); });
    one.link("Controllers", system_uri + "/Storage/Disks/Controllers");
    one.link("Volumes", system_uri + "/Storage/Disks/Volumes");
    return one;
}

Resource controllers() {
    Resource collection(system_uri + "/Storage/Disks/Controllers",
                        "StorageControllerCollection.StorageControllerCollection");
    collection.constant("Name", "Controllers");
    collection.members(
        [](const Scope&) { return std::vector{system_uri + "/Storage/Disks/Controllers/virtio"}; });
    return collection;
}

Resource controller() {
    Resource one(system_uri + "/Storage/Disks/Controllers/virtio",
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
    const std::string made = system_uri + "/Storage/Disks/Volumes/" + name;
    Response response = json_response(201, link_to(made));
    co_return std::move(response.with("Location", made));
}

Resource volumes() {
    Resource collection(system_uri + "/Storage/Disks/Volumes", "VolumeCollection.VolumeCollection");
    collection.shows(disks).constant("Name", "Volumes");
    collection.constant("@Redfish.OperationApplyTimeSupport",
                        json::object{{"@odata.type", "#Settings.v1_3_5.OperationApplyTimeSupport"},
                                     {"SupportedValues", json::array{"Immediate"}}});
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& disk : scope.view(disks)->targets)
            uris.push_back(system_uri + "/Storage/Disks/Volumes/" + disk.name);
        return uris;
    });
    collection.creates(create_volume);
    return collection;
}

Resource volume() {
    const std::string target = disks + "/{0}";
    Resource one(system_uri + "/Storage/Disks/Volumes/{}", "Volume.v1_10_1.Volume");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Volume " + scope.ids[0]); });
    one.number("CapacityBytes", target, "disk_size");
    one.constant("RAIDType", "None").constant("Status", healthy());
    one.computed("Links/Drives", [](const Scope& scope) {
        return json::value(
            json::array{link_to(system_uri + "/Storage/Disks/Drives/" + scope.ids[0])});
    });
    one.deletes([](Scope& scope) -> Task<Response> {
        const auto done = co_await run_in_tree(scope, disks + "/{0}", "delete", false);
        co_return done ? no_content() : fault_response(done.fault());
    });
    return one;
}

Resource disk() {
    const std::string target = disks + "/{0}";
    Resource one(system_uri + "/Storage/Disks/Drives/{}", "Drive.v1_20_1.Drive");
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
    Resource one(system_uri + "/EthernetInterfaces/{}",
                 "EthernetInterface.v1_12_2.EthernetInterface");
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

void declare_parts(std::vector<Resource>& all) {
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
