#include "vmm/definition.h"

#include "base/json_fields.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <random>
#include <set>
#include <thread>

namespace json = boost::json;

namespace lom::vmm {

namespace {

using namespace fields;

constexpr unsigned most_processors = 64;
constexpr std::size_t most_disks = 8;
constexpr std::size_t most_nics = 8;
constexpr unsigned least_memory_mib = 64;
constexpr std::uint64_t own_memory_mib = 256; // for the machine itself
constexpr std::uint64_t least_disk = 1U << 20U;
constexpr std::uint64_t largest_disk = std::uint64_t{64} << 40U;
constexpr std::size_t longest_text = 64;

Fault invalid(std::string message) { return {FaultKind::invalid_value, std::move(message)}; }

unsigned machine_memory_mib() {
    struct sysinfo info {};
    sysinfo(&info);
    const std::uint64_t bytes = std::uint64_t{info.totalram} * info.mem_unit;
    return static_cast<unsigned>((bytes >> 20U) - std::min(bytes >> 20U, own_memory_mib));
}

/// disk0, net1: a kind and a number below `count`.
bool is_numbered(const std::string& name, const std::string& kind, std::size_t count) {
    if (name.size() <= kind.size() || name.size() > kind.size() + 2 ||
        name.compare(0, kind.size(), kind) != 0)
        return false;
    const std::string digits = name.substr(kind.size());
    return std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; }) &&
           static_cast<std::size_t>(std::stoi(digits)) < count &&
           (digits.size() == 1 || digits[0] != '0');
}

bool is_mac(const std::string& text) {
    if (text.size() != 17)
        return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool fine =
            i % 3 == 2 ? text[i] == ':' : std::isxdigit(static_cast<unsigned char>(text[i])) != 0;
        if (!fine)
            return false;
    }
    // A multicast address cannot be an interface's own.
    return (std::stoi(text.substr(0, 2), nullptr, 16) & 1) == 0;
}

bool is_host_name(const std::string& text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool is_uuid(const std::string& text) {
    const std::string form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    return std::equal(text.begin(), text.end(), form.begin(), form.end(), [](char c, char f) {
        return f == '-' ? c == '-' : std::isxdigit(static_cast<unsigned char>(c)) != 0;
    });
}

std::string random_uuid() {
    std::random_device random;
    std::string text = "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx"; // version 4
    for (char& c : text)
        if (c == 'x')
            c = "0123456789abcdef"[random() & 15U];
    return text;
}

/// Locally administered; the host's part comes from its uuid, the last byte from the NIC's number.
std::string hardware_address(const std::string& uuid, const std::string& nic) {
    const std::string number = nic.size() > 3 ? nic.substr(3, 1) : "0";
    return "02:00:5e:" + uuid.substr(24, 2) + ":" + uuid.substr(26, 2) + ":0" + number;
}

Result<void> check_name(const HostDefinition& definition) {
    if (!is_host_name(definition.name))
        return invalid("A host's name has 1 to 32 lower-case letters, digits and '-'.");
    if (!is_uuid(definition.identity.uuid))
        return invalid("A uuid is written as 123e4567-e89b-42d3-a456-426614174000.");
    return {};
}

Result<void> check_fit(const HostDefinition& definition) {
    const unsigned processors = std::min(most_processors, 4 * std::thread::hardware_concurrency());
    if (definition.processors < 1 || definition.processors > processors)
        return invalid("The host can have 1 to " + std::to_string(processors) +
                       " processors on this machine.");
    if (definition.memory_mib < least_memory_mib || definition.memory_mib > machine_memory_mib())
        return invalid("The host can have " + std::to_string(least_memory_mib) + " MB to " +
                       std::to_string(machine_memory_mib()) + " MB of memory on this machine.");
    return {};
}

Result<void> check_disks(const HostDefinition& definition) {
    std::set<std::string> names;
    for (const Disk& disk : definition.disks) {
        if (!is_numbered(disk.name, "disk", most_disks))
            return invalid("Disks are named disk0 to disk7.");
        if (disk.size < least_disk || disk.size > largest_disk)
            return invalid("A disk has 1 MB to 64 TB.");
        if (!names.insert(disk.name).second)
            return invalid("There is a " + disk.name + " already.");
    }
    return {};
}

Result<void> check_nics(const HostDefinition& definition) {
    std::set<std::string> names;
    for (const Nic& nic : definition.nics) {
        if (!is_numbered(nic.name, "net", most_nics))
            return invalid("Network interfaces are named net0 to net7.");
        if (!is_mac(nic.mac))
            return invalid("A hardware address is written as 02:00:5e:10:00:01.");
        if (!names.insert(nic.name).second || !names.insert(nic.mac).second)
            return invalid("There is a " + nic.name + " or its hardware address already.");
    }
    return {};
}

Result<void> check_identity(const HostDefinition& definition) {
    const Identity& identity = definition.identity;
    for (const std::string* text :
         {&identity.manufacturer, &identity.product_name, &identity.part_number,
          &identity.serial_number, &identity.asset_tag}) {
        const bool printable =
            std::all_of(text->begin(), text->end(), [](char c) { return c >= 0x20 && c < 0x7f; });
        if (text->size() > longest_text || !printable)
            return invalid("The guest can read texts of at most 64 printable ASCII characters.");
    }
    return {};
}

/// What holds on every machine, so that a host moved to a smaller one can still be changed.
Result<void> check_form(const HostDefinition& definition) {
    for (const auto& check : {check_name, check_disks, check_nics, check_identity})
        if (const auto fine = check(definition); !fine)
            return fine;
    return {};
}

} // namespace

void complete_definition(HostDefinition& definition) {
    Identity& identity = definition.identity;
    if (identity.uuid.empty())
        identity.uuid = random_uuid();
    if (identity.serial_number.empty()) {
        identity.serial_number = "OL" + identity.uuid.substr(24);
        for (char& c : identity.serial_number)
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    for (Nic& nic : definition.nics)
        if (nic.mac.empty())
            nic.mac = hardware_address(identity.uuid, nic.name);
}

Result<void> check_definition(const HostDefinition& definition) {
    const auto fine = check_form(definition);
    return fine ? check_fit(definition) : fine;
}

std::string definition_to_json(const HostDefinition& definition) {
    json::array disks;
    for (const Disk& disk : definition.disks)
        disks.push_back(json::object{{"name", disk.name}, {"size", disk.size}});
    json::array nics;
    for (const Nic& nic : definition.nics)
        nics.push_back(json::object{{"name", nic.name}, {"mac", nic.mac}});
    const Identity& identity = definition.identity;
    return json::serialize(
        json::object{{"name", definition.name},
                     {"processors", definition.processors},
                     {"memory_mib", definition.memory_mib},
                     {"machine", definition.machine == Machine::pc ? "pc" : "q35"},
                     {"firmware", definition.firmware == Firmware::uefi ? "uefi" : "bios"},
                     {"disks", std::move(disks)},
                     {"nics", std::move(nics)},
                     {"identity", json::object{{"manufacturer", identity.manufacturer},
                                               {"product_name", identity.product_name},
                                               {"part_number", identity.part_number},
                                               {"serial_number", identity.serial_number},
                                               {"uuid", identity.uuid},
                                               {"asset_tag", identity.asset_tag}}}});
}

Result<HostDefinition> definition_from_json(const std::string& text_in) {
    boost::system::error_code error;
    const json::value value = json::parse(text_in, error);
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return Fault{FaultKind::internal, "The host's definition is not readable JSON."};
    HostDefinition definition;
    definition.name = text(*object, "name");
    definition.processors = number(*object, "processors", definition.processors);
    definition.memory_mib = number(*object, "memory_mib", definition.memory_mib);
    definition.machine = text(*object, "machine") == "pc" ? Machine::pc : Machine::q35;
    definition.firmware = text(*object, "firmware") == "uefi" ? Firmware::uefi : Firmware::bios;
    for (const json::value& entry : list(*object, "disks"))
        if (const json::object* disk = entry.if_object())
            definition.disks.push_back({text(*disk, "name"), number<std::uint64_t>(*disk, "size")});
    for (const json::value& entry : list(*object, "nics"))
        if (const json::object* nic = entry.if_object())
            definition.nics.push_back({text(*nic, "name"), text(*nic, "mac")});
    if (const json::value* identity = object->if_contains("identity");
        identity != nullptr && identity->is_object()) {
        const json::object& fields = identity->get_object();
        definition.identity = {text(fields, "manufacturer"), text(fields, "product_name"),
                               text(fields, "part_number"),  text(fields, "serial_number"),
                               text(fields, "uuid"),         text(fields, "asset_tag")};
    }
    if (const auto fine = check_form(definition); !fine)
        return fine.fault();
    return definition;
}

} // namespace lom::vmm
