// What the next boot does, and the OpenBoot-like prompt that decides it by hand. Pure logic with a
// clock and a save function: no sockets, no QEMU. Loop thread only.
#pragma once

#include "base/result.h"
#include "vmm/definition.h"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::vmm {

/// A device that OpenBoot can name: alias, device path, what it is.
struct BootDevice {
    std::string alias; ///< disk, disk1, cdrom, rcdrom, net
    std::string path;  ///< /pci@0,0/usb@4/storage@1/disk@0,0
};

/// How one boot goes. `order` holds aliases, tried first to last.
struct BootPlan {
    bool stop_at_ok = false;
    std::vector<std::string> order;
    bool firmware_setup = false; ///< boot_device=bios
    std::string args;            ///< `boot DEVICE ARGS`, shown only
    bool once = false;           ///< true: the boot after this one is decided anew
};

/// Persistent part; kept in D/hosts/<name>/boot.json.
struct BootState {
    std::map<std::string, std::string> nvram; ///< only variables that differ from their default
    std::string script;                       ///< /HOST/bootmode script
    bool reset_nvram = false;                 ///< /HOST/bootmode state
    std::optional<std::chrono::system_clock::time_point> expires; ///< of state, 10 minutes
    std::string config;
    std::string boot_device = "default";      ///< x86 one-time device
};
std::string boot_state_to_json(const BootState& state);
Result<BootState> boot_state_from_json(const std::string& text);

class BootControl {
  public:
    using Save = std::function<Result<void>(const BootState&)>;
    using Now = std::function<std::chrono::system_clock::time_point()>;
    /// What the prompt asks its host to do.
    struct Actions {
        std::function<void(const BootPlan&)> boot;
        std::function<void()> reset_all;
        std::function<void()> power_off;
        std::function<void(std::string_view)> print; ///< text for the console, CR LF line ends
    };

    BootControl(BootState state, Save save, Now now, Actions actions);
    /// Devices as defined now: tells devalias, show-devs, boot. Called when the definition changes.
    void set_machine(const HostDefinition& definition, std::vector<BootDevice> devices);

    // -- the tree's properties; setters are durable when they return
    const BootState& state() const; ///< expired settings are already gone
    Result<void> set_script(const std::string& script); ///< up to 1000 bytes
    Result<void> set_reset_nvram(bool reset);
    Result<void> set_config(const std::string& config);
    Result<void> set_boot_device(const std::string& device);

    /// Decides a boot that begins now and consumes what applies once (script, state, boot_device).
    /// Prints what the script's commands print.
    BootPlan begin_boot();
    /// True when a guest reboot must not just repeat the running boot (auto-boot? false, or
    /// something set for the next boot).
    bool next_boot_is_special() const;

    // -- the ok prompt
    void enter_prompt(); ///< prints the banner and `{0} ok `
    void leave_prompt(); ///< power went away under the prompt
    bool at_prompt() const;
    void input(std::string_view bytes); ///< line editing, echo, commands

  private:
    struct Prompt;
    BootState state_;
    Save save_;
    Now now_;
    Actions actions_;
    HostDefinition definition_;
    std::vector<BootDevice> devices_;
    bool at_prompt_ = false;
    std::string line_;
};

} // namespace lom::vmm
