// What runs for a host and what is to happen next, written down so that the next lomd goes on where
// this one was killed: D/hosts/<name>/runtime.json. Any thread.
#pragma once

#include "base/process.h"
#include "base/result.h"
#include "vmm/boot_state.h"
#include "vmm/medium.h"

#include <optional>
#include <string>

namespace lom::vmm {

struct RuntimeRecord {
    enum class Next {
        nothing, ///< the host just runs
        off,     ///< its power is being cut
        decide,  ///< it is being reset: a new boot is decided when QEMU is gone
        boot,    ///< `plan` is to be booted when QEMU is gone, or if there is none
    };
    ProcessId process; ///< pid 0: not known yet
    Next next = Next::nothing;
    BootPlan plan;             ///< of the boot that runs, or that is to come
    bool starts_again = false; ///< the guest was asked to shut down, and is to start again then
    PerDrive<Medium> media;
};

/// It has to outlive lomd, not the machine: nothing that it names survives a power loss.
Result<void> save_runtime_record(const std::string& path, const RuntimeRecord& record);
std::optional<RuntimeRecord> load_runtime_record(const std::string& path);

} // namespace lom::vmm
