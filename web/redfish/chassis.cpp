// The chassis: a virtual one. It has no sensors, and claims none.
#include "web/redfish/resource.h"

namespace lom::web {

namespace {

const std::string uri = "/redfish/v1/Chassis/host0";

Resource all_chassis() {
    Resource collection("/redfish/v1/Chassis", "ChassisCollection.ChassisCollection");
    collection.constant("Name", "Chassis");
    collection.members([](const Scope&) { return std::vector{uri}; });
    return collection;
}

Resource chassis() {
    const std::string hardware = "/System";
    Resource one(uri, "Chassis.v1_25_1.Chassis");
    one.shows(hardware).shows("/SP");
    one.constant("Id", "host0").constant("Name", "Virtual chassis of host0");
    one.constant("ChassisType", "Other");
    one.text("Manufacturer", hardware, "manufacturer").text("Model", hardware, "model");
    one.text("SerialNumber", hardware, "serial_number");
    one.text("PartNumber", hardware, "part_number").text("UUID", hardware, "uuid");
    one.text("AssetTag", hardware, "asset_tag", true);
    one.text("PowerState", hardware, "power_state");
    one.text("Location/Placement/AdditionalInfo", "/SP", "system_location", true);
    one.constant("Status", json::object{{"State", "Enabled"}, {"Health", "OK"}});
    one.constant("Links/ComputerSystems", json::array{link_to("/redfish/v1/Systems/host0")});
    one.constant("Links/ManagedBy", json::array{link_to("/redfish/v1/Managers/sp")});
    one.constant("Links/ManagersInChassis", json::array{link_to("/redfish/v1/Managers/sp")});
    return one;
}

} // namespace

void declare_chassis(std::vector<Resource>& all) {
    all.push_back(all_chassis());
    all.push_back(chassis());
}

} // namespace lom::web
