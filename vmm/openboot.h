// The words of the ok prompt: what a command line does to the boot state, what it prints, and what
// it asks the machine to do. Pure; it neither saves nor boots. Any thread, one owner.
#pragma once

#include "vmm/boot_state.h"
#include "vmm/definition.h"

#include <string>
#include <string_view>
#include <vector>

namespace lom::vmm {

/// What the words can be told about the machine.
struct BootMachine {
    HostDefinition definition;
    std::vector<BootDevice> devices;
    std::vector<std::string> empty_drives;  ///< paths of devices without a medium
    std::vector<std::string> coming_drives; ///< and of those that may soon have one
};

/// What came of running commands.
struct Execution {
    enum class Next { stay, boot, reset_all, power_off, await_medium };
    Next next = Next::stay;
    BootPlan plan;    ///< for Next::boot
    std::string text; ///< CR LF line ends
};

class OpenBoot {
  public:
    BootMachine machine;

    /// Runs one command (no `;` in it) and changes `state`, which the caller saves.
    Execution run(std::string_view command, BootState& state) const;
    /// Lines that describe the machine, shown when the prompt is entered.
    std::string banner(const BootState& state) const;
};

/// The commands of a line or script: between `;`, CR and LF, without blank ones.
std::vector<std::string_view> split_commands(std::string_view script);

} // namespace lom::vmm
