// What the files about the host as a ComputerSystem share. Internal: only .cpp files take it.
#pragma once

#include "web/redfish/resource.h"

#include <string>

namespace lom::web {

const std::string system_uri = "/redfish/v1/Systems/host0";
const std::string host_target = "/HOST";
const std::string hardware_target = "/System";

inline json::object healthy() { return {{"State", "Enabled"}, {"Health", "OK"}}; }

/// The system's own fields about booting.
void declare_boot_fields(Resource& system);
/// BootOptions and Bios.
void declare_boot(std::vector<Resource>& all);
/// Processors, memory, storage, network.
void declare_parts(std::vector<Resource>& all);

} // namespace lom::web
