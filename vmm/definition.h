// What a host is: plain data that the command line is made from. Standard library only.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lom::vmm {

enum class Firmware { bios, uefi };
enum class Machine { q35, pc };
enum class Acceleration { kvm, tcg };

struct Disk {
    std::string name;       ///< disk0, disk1, ...: device alias, file name and serial come from it
    std::uint64_t size = 0; ///< bytes
};

struct Nic {
    std::string name; ///< net0, net1, ...
    std::string mac;  ///< 02:00:5e:HH:HH:NN unless set by the user
};

/// What the guest reads back through SMBIOS types 0 to 3.
struct Identity {
    std::string manufacturer = "OpenLOM";
    std::string product_name = "Virtual Host";
    std::string part_number;
    std::string serial_number; ///< made once per host from its uuid
    std::string uuid;
    std::string asset_tag;
};

struct HostDefinition {
    std::string name; ///< folder name and QEMU's guest name: [a-z0-9-]{1,32}
    unsigned processors = 1;
    unsigned memory_mib = 1024;
    Machine machine = Machine::q35;
    Firmware firmware = Firmware::bios;
    std::vector<Disk> disks;
    std::vector<Nic> nics;
    Identity identity;
};

/// Gives what a new host or NIC lacks: uuid, serial number, hardware addresses.
void complete_definition(HostDefinition& definition);
/// One sentence per thing that does not fit this machine (processors, memory, names, counts).
Result<void> check_definition(const HostDefinition& definition);
std::string definition_to_json(const HostDefinition& definition);
Result<HostDefinition> definition_from_json(const std::string& text);

} // namespace lom::vmm
