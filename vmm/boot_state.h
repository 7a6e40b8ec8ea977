// What a boot is made of: devices, the plan of one boot, and what is kept between boots. Plain
// data; any thread.
#pragma once

#include "base/result.h"

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::vmm {

/// A device that OpenBoot can name: alias, device path.
struct BootDevice {
    std::string alias; ///< disk, disk1, cdrom, rcdrom, net
    std::string path;  ///< /pci@0,0/usb@4/storage@1/disk@0,0
};

/// How one boot goes. `order` holds aliases, tried first to last.
struct BootPlan {
    bool stop_at_ok = false;
    bool power_off = false; ///< the script said power-off: nothing boots (stop_at_ok is set too)
    std::vector<std::string> order;
    bool firmware_setup = false; ///< boot_device=bios
    std::string args;            ///< `boot DEVICE ARGS`, shown only
    bool once = false;           ///< true: the boot after this one is decided anew
};

/// NVRAM variables that differ from their default; see nvram.h.
using Nvram = std::map<std::string, std::string>;

/// What boot_device can be; ILOM's other words would do nothing here.
inline constexpr std::array<std::string_view, 6> boot_device_choices = {"default", "pxe", "disk",
                                                                        "cdrom",   "usb", "bios"};

constexpr std::size_t boot_script_limit = 1000; ///< bytes, ILOM 5.1's

/// A set of variables that was put aside under a name; /HOST/domain/configs.
struct BootConfig {
    Nvram nvram;
    std::chrono::system_clock::time_point created; ///< whole seconds

    bool operator==(const BootConfig&) const = default;
};

/// The config that always exists: every variable has its default.
inline constexpr std::string_view factory_default = "factory-default";
constexpr std::size_t boot_configs_limit = 16;

/// Persistent part; kept in D/hosts/<name>/boot.json.
struct BootState {
    Nvram nvram;
    std::string script;                                           ///< /HOST/bootmode script
    bool reset_nvram = false;                                     ///< /HOST/bootmode state
    std::optional<std::chrono::system_clock::time_point> expires; ///< of reset_nvram, 10 minutes
    std::string boot_device = "default";                          ///< x86 one-time device
    std::map<std::string, BootConfig> configs;
    std::string config; ///< /HOST/bootmode config: one of configs, factory_default, or empty

    bool operator==(const BootState&) const = default;
};

Result<void> check_boot_script(const std::string& script);
Result<void> check_boot_device(const std::string& device);
/// Of a config that is to be made.
Result<void> check_config_name(const std::string& name);

std::string boot_state_to_json(const BootState& state);
/// Refuses what this program cannot have written; NVRAM variables that it no longer knows, or whose
/// value it no longer takes, go back to their default.
Result<BootState> boot_state_from_json(const std::string& text);

} // namespace lom::vmm
