// /System: identity, power, and the hardware that the host is made of. Changed while it is off.
#include "sp/targets/size_type.h"
#include "sp/targets/targets.h"

#include <algorithm>
#include <cctype>

namespace lom {

enum class LocatorText { off, on };
template <>
struct Names<LocatorText> {
    static constexpr const char* all[] = {"Off", "On"};
    static constexpr const char* docs[] = {"Nobody looks for this host.",
                                           "This is the host you look for."};
};
enum class IndicatorValue { off, fast_blink };
template <>
struct Names<IndicatorValue> {
    static constexpr const char* all[] = {"Off", "Fast_Blink"};
    static constexpr const char* docs[] = {"Nobody looks for this host.",
                                           "This is the host you look for."};
};
enum class PowerText { off, on };
template <>
struct Names<PowerText> {
    static constexpr const char* all[] = {"Off", "On"};
    static constexpr const char* docs[] = {"The host has no power.", "The host has power."};
};
template <>
struct Names<vmm::Firmware> {
    static constexpr const char* all[] = {"bios", "uefi"};
    static constexpr const char* docs[] = {
        "SeaBIOS: boots what PCs booted before UEFI.",
        "OVMF: boots EFI programs; its set-up is boot_device=bios."};
};
template <>
struct Names<vmm::Machine> {
    static constexpr const char* all[] = {"q35", "pc"};
    static constexpr const char* docs[] = {"PCI Express, for guests of the last 15 years.",
                                           "PCI, for older guests."};
};

namespace {

using Change = std::function<void(vmm::HostDefinition&)>;

/// Changes the definition and answers with an outcome (of a set or of a verb) that says `message`.
template <typename Outcome>
void redefine(vmm::Host& host, const Change& change, const std::string& message,
              std::function<void(Result<Outcome>)> done) {
    vmm::HostDefinition definition = host.definition();
    change(definition);
    host.redefine(definition, [message, done = std::move(done)](const Result<void>& result) {
        done(result ? Result<Outcome>(Outcome{.message = message}) : result.fault());
    });
}

struct DefinitionProperty {
    std::string name;
    std::string doc;
};

/// A property that is one field of the definition.
template <typename T>
void defines(Target& target, vmm::Host& host, DefinitionProperty spec,
             std::function<T(const vmm::HostDefinition&)> get,
             std::function<void(vmm::HostDefinition&, T)> set) {
    target.managed<T>(
        {.name = std::move(spec.name),
         .doc = std::move(spec.doc) + " Set while the host is off.",
         .write = Role::admin,
         .get = [&host, get = std::move(get)] { return get(host.definition()); },
         .set =
             [&host, set = std::move(set)](const Caller&, T value, Property::Done done) {
                 redefine<SetOutcome>(
                     host, [&](vmm::HostDefinition& d) { set(d, std::move(value)); }, "",
                     std::move(done));
             }});
}

void defines_text(Target& target, vmm::Host& host, DefinitionProperty spec,
                  std::string vmm::Identity::*member) {
    defines<std::string>(
        target, host, std::move(spec),
        [member](const vmm::HostDefinition& d) { return d.identity.*member; },
        [member](vmm::HostDefinition& d, std::string value) {
            d.identity.*member = std::move(value);
        });
}

std::string primary_mac(vmm::Host& host) {
    const auto& nics = host.definition().nics;
    return nics.empty() ? std::string() : nics.front().mac;
}

Target::Ptr processors_target(vmm::Host& host) {
    auto target = Target::make("Processors", "The host's virtual processors.");
    target->shows<std::string>("architecture", "Instruction set.",
                               [] { return std::string("x86_64"); });
    defines<std::int64_t>(
        *target, host, {"installed_cpus", "Number of virtual processors."},
        [](const vmm::HostDefinition& d) { return static_cast<std::int64_t>(d.processors); },
        [](vmm::HostDefinition& d, std::int64_t count) {
            d.processors = static_cast<unsigned>(std::clamp<std::int64_t>(count, 0, 1 << 20));
        });
    return target;
}

Target::Ptr memory_target(vmm::Host& host) {
    auto target = Target::make("Memory", "The host's memory.");
    defines<ByteSize>(
        *target, host, {"installed_memory", "Size of the memory, as 512 MB or 4 GB."},
        [](const vmm::HostDefinition& d) { return ByteSize{std::uint64_t{d.memory_mib} << 20U}; },
        [](vmm::HostDefinition& d, ByteSize size) {
            d.memory_mib =
                static_cast<unsigned>(std::min<std::uint64_t>(size.bytes >> 20U, 1U << 30U));
        });
    return target;
}

Target::Ptr disk_target(vmm::Host& host, const vmm::Disk& disk) {
    auto target = Target::make(disk.name, "A disk of the host.");
    target->shows<ByteSize>("disk_size", "Its size.",
                            [size = disk.size] { return ByteSize{size}; });
    target->shows<std::string>("type", "How the guest sees it.",
                               [] { return std::string("virtio block device"); });
    target->verb({.name = "delete",
                  .doc = "Deletes the disk and everything on it, while the host is off.",
                  .role = Role::admin,
                  .run = [&host, name = disk.name](const VerbCall&, const std::string& path,
                                                   Verb::Done done) {
                      redefine<VerbOutcome>(
                          host,
                          [&](vmm::HostDefinition& d) {
                              std::erase_if(d.disks, [&](const auto& x) { return x.name == name; });
                          },
                          "Deleted " + path, std::move(done));
                  }});
    return target;
}

Target::Ptr disks_target(vmm::Host& host) {
    auto target = Target::make("Disks", "The host's disks: disk0, disk1, ...");
    target->dynamic_children([&host] {
        std::vector<Target::Ptr> children;
        for (const vmm::Disk& disk : host.definition().disks)
            children.push_back(disk_target(host, disk));
        return children;
    });
    target->verb(
        {.name = "create",
         .doc = "Makes an empty disk, while the host is off: create "
                "/System/Storage/Disks/disk1 size=20G.",
         .role = Role::admin,
         .asks = false,
         .run =
             [&host](const VerbCall& call, const std::string& path, Verb::Done done) {
                 const auto size = Codec<ByteSize>::unwrap(call.properties.front().second);
                 redefine<VerbOutcome>(
                     host,
                     [&](vmm::HostDefinition& d) {
                         d.disks.push_back({call.new_name, size.bytes});
                     },
                     "Created " + path, std::move(done));
             },
         .takes = {Target::property_of<ByteSize>(
             {.name = "size", .doc = "As 20G or 512M.", .write = Role::admin, .required = true})}});
    return target;
}

Target::Ptr storage_target(vmm::Host& host) {
    auto target = Target::make("Storage", "The host's disks.");
    target->shows<std::int64_t>("installed_disks", "How many.", [&host] {
        return static_cast<std::int64_t>(host.definition().disks.size());
    });
    target->child(disks_target(host));
    return target;
}

Target::Ptr nic_target(vmm::Host& host, const vmm::Nic& nic) {
    auto target = Target::make(nic.name, "A network interface of the host.");
    target->shows<std::string>("mac_address", "Its hardware address.",
                               [mac = nic.mac] { return mac; });
    target->shows<std::string>("model", "How the guest sees it.",
                               [] { return std::string("virtio network device"); });
    target->shows<std::string>("network", "What it is connected to.", [] {
        return std::string("user (the guest reaches out through this machine; nobody reaches in)");
    });
    target->verb({.name = "delete",
                  .doc = "Removes the interface, while the host is off.",
                  .role = Role::admin,
                  .run = [&host, name = nic.name](const VerbCall&, const std::string& path,
                                                  Verb::Done done) {
                      redefine<VerbOutcome>(
                          host,
                          [&](vmm::HostDefinition& d) {
                              std::erase_if(d.nics, [&](const auto& x) { return x.name == name; });
                          },
                          "Deleted " + path, std::move(done));
                  }});
    return target;
}

/// Locally administered, different for each index: 02:00:5e:HH:HH:NN from the host's uuid.
std::string default_mac(const vmm::HostDefinition& definition, const std::string& nic) {
    const std::size_t hash = std::hash<std::string>{}(definition.identity.uuid + nic);
    char text[18];
    std::snprintf(text, sizeof(text), "02:00:5e:%02x:%02x:%02x",
                  static_cast<unsigned>(hash & 0xffU), static_cast<unsigned>(hash >> 8U & 0xffU),
                  static_cast<unsigned>(hash >> 16U & 0xffU));
    return text;
}

Target::Ptr nics_target(vmm::Host& host) {
    auto target = Target::make("Ethernet_NICs", "The host's network interfaces: net0, net1, ...");
    target->dynamic_children([&host] {
        std::vector<Target::Ptr> children;
        for (const vmm::Nic& nic : host.definition().nics)
            children.push_back(nic_target(host, nic));
        return children;
    });
    target->verb(
        {.name = "create",
         .doc = "Adds an interface, while the host is off: create "
                "/System/Networking/Ethernet_NICs/net1.",
         .role = Role::admin,
         .asks = false,
         .run =
             [&host](const VerbCall& call, const std::string& path, Verb::Done done) {
                 redefine<VerbOutcome>(
                     host,
                     [&](vmm::HostDefinition& d) {
                         d.nics.push_back({call.new_name,
                                           call.properties.empty()
                                               ? default_mac(d, call.new_name)
                                               : std::get<std::string>(call.properties[0].second)});
                     },
                     "Created " + path, std::move(done));
             },
         .takes = {
             Target::property_of<std::string>({.name = "mac_address",
                                               .doc = "As 02:00:5e:10:00:01; made up when absent.",
                                               .write = Role::admin})}});
    return target;
}

Target::Ptr networking_target(vmm::Host& host) {
    auto target = Target::make("Networking", "The host's network interfaces.");
    target->shows<std::int64_t>("installed_eth_nics", "How many.", [&host] {
        return static_cast<std::int64_t>(host.definition().nics.size());
    });
    target->child(nics_target(host));
    return target;
}

PowerText power_of(vmm::Host& host) {
    return host.power_state() == vmm::PowerState::on ? PowerText::on : PowerText::off;
}

bool needs_service(vmm::Host& host) {
    return host.status() == vmm::HostStatus::stopped ||
           host.status() == vmm::HostStatus::unreachable;
}

Result<SetOutcome> locate(ManagedHost& managed, bool on) {
    const auto stored = managed.settings().locator.set(on ? Switch::enabled : Switch::disabled);
    if (!stored)
        return stored.fault();
    managed.show_locator();
    return SetOutcome{};
}

Target::Ptr locate_target(ManagedHost& managed) {
    auto target = Target::make("LOCATE", "The locator indicator.");
    target->shows<std::string>("type", "Kind of target.", [] { return std::string("Indicator"); });
    target->managed<IndicatorValue>(
        {.name = "value",
         .doc = "Fast_Blink: this host says that it is the one you look for.",
         .write = Role::admin | Role::reset,
         .get =
             [&managed] {
                 return *managed.settings().locator == Switch::enabled ? IndicatorValue::fast_blink
                                                                       : IndicatorValue::off;
             },
         .set =
             [&managed](const Caller&, IndicatorValue value, const Property::Done& done) {
                 done(locate(managed, value == IndicatorValue::fast_blink));
             }});
    return target;
}

} // namespace

Target::Ptr system_target(const TargetContext& context) {
    vmm::Host& host = context.host.host();
    SpSettings& sp = context.sp;
    auto target = Target::make("System", "The host's hardware: power, identity, inventory.");
    const Target::Ptr problems = open_problems_target(context);
    target->shows<std::string>(
        "health", "OK, or Service Required when the host has stopped.",
        [&host] { return std::string(needs_service(host) ? "Service Required" : "OK"); });
    target->shows<std::string>("health_details", "Why.", [&host] {
        return needs_service(host) ? host.status_detail() : std::string("-");
    });
    target->shows<std::string>("type", "Kind of system.",
                               [] { return std::string("Virtual Machine"); });
    defines_text(*target, host, {"manufacturer", "Manufacturer that the guest sees."},
                 &vmm::Identity::manufacturer);
    defines_text(*target, host, {"model", "Product name that the guest sees."},
                 &vmm::Identity::product_name);
    defines_text(*target, host, {"part_number", "Part number that the guest sees."},
                 &vmm::Identity::part_number);
    defines_text(*target, host, {"serial_number", "Serial number that the guest sees."},
                 &vmm::Identity::serial_number);
    defines_text(*target, host, {"asset_tag", "Asset tag that the guest sees."},
                 &vmm::Identity::asset_tag);
    target->shows<std::string>("uuid", "Identity that the guest sees.",
                               [&host] { return host.definition().identity.uuid; });
    target->persistent<std::string>(
        sp.system_identifier,
        {.name = "system_identifier", .doc = "A label of your own.", .write = Role::admin});
    defines<vmm::Firmware>(
        *target, host, {"firmware", "bios (SeaBIOS) or uefi (OVMF)."},
        [](const vmm::HostDefinition& d) { return d.firmware; },
        [](vmm::HostDefinition& d, vmm::Firmware firmware) { d.firmware = firmware; });
    defines<vmm::Machine>(
        *target, host, {"machine", "Chipset: q35 (PCI Express) or pc (older guests)."},
        [](const vmm::HostDefinition& d) { return d.machine; },
        [](vmm::HostDefinition& d, vmm::Machine machine) { d.machine = machine; });
    target->shows<std::string>("acceleration",
                               "How guests run: KVM or TCG (emulated, slow), and why.",
                               [reason = context.acceleration_reason] { return reason; });
    target->shows<std::string>("host_primary_mac_address", "Of the first network interface.",
                               [&host] { return primary_mac(host); });
    target->managed<LocatorText>(
        {.name = "locator_indicator",
         .doc = "On: this host says in every list that it is the one you look for.",
         .write = Role::admin | Role::reset,
         .get =
             [&settings = context.host.settings()] {
                 return *settings.locator == Switch::enabled ? LocatorText::on : LocatorText::off;
             },
         .set =
             [&managed = context.host](const Caller&, LocatorText value,
                                       const Property::Done& done) {
                 done(locate(managed, value == LocatorText::on));
             }});
    target->shows<std::int64_t>("open_problems_count", "Rows of Open_Problems.", [problems] {
        return static_cast<std::int64_t>(problems->table()().rows.size());
    });
    target->shows<PowerText>("power_state", "On or Off.", [&host] { return power_of(host); });
    add_power_verbs(*target, context.host);
    target->child(problems);
    target->child(memory_target(host));
    target->child(networking_target(host));
    target->child(processors_target(host));
    target->child(storage_target(host));
    return target;
}

Target::Ptr legacy_system_target(const TargetContext& context) {
    vmm::Host& host = context.host.host();
    auto target = Target::make("SYS", "The host as older ILOM versions show it; see /System.");
    target->shows<std::string>("type", "Kind of target.",
                               [] { return std::string("Host System"); });
    target->shows<std::string>("ipmi_name", "Its name in IPMI.",
                               [] { return std::string("/SYS"); });
    const auto identity = [&](const char* name, const char* doc,
                              std::string vmm::Identity::*member) {
        target->shows<std::string>(name, doc,
                                   [&host, member] { return host.definition().identity.*member; });
    };
    identity("product_name", "As the guest sees it.", &vmm::Identity::product_name);
    identity("product_part_number", "As the guest sees it.", &vmm::Identity::part_number);
    identity("product_serial_number", "As the guest sees it.", &vmm::Identity::serial_number);
    identity("product_manufacturer", "As the guest sees it.", &vmm::Identity::manufacturer);
    target->shows<std::string>("fault_state", "OK or Faulted.", [&host] {
        return std::string(needs_service(host) ? "Faulted" : "OK");
    });
    target->shows<PowerText>("power_state", "On or Off.", [&host] { return power_of(host); });
    add_power_verbs(*target, context.host);
    target->child(locate_target(context.host));
    return target;
}

} // namespace lom
