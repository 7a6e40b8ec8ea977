// Starting a host's QEMU: the account that it runs under, its files, the process. Loop thread only.
#pragma once

#include "base/process.h"
#include "base/result.h"
#include "vmm/command_line.h"
#include "vmm/definition.h"
#include "vmm/host.h"

#include <sys/types.h>

#include <optional>
#include <vector>

namespace lom::vmm {

struct QemuAccount {
    std::optional<uid_t> uid; ///< the group has its number; absent: lomd's own
    std::vector<gid_t> groups;
    /// It should be another one, but only root may use /dev/kvm.
    bool only_root_has_kvm = false;
};
QemuAccount qemu_account(const HostEnvironment& environment);

/// What must be so before QEMU is forked: a definition that this machine can run, nobody else's
/// QEMU at the host's monitor, and the files.
Result<void> prepare_launch(const QemuAccount& account, const HostFiles& files,
                            const HostDefinition& definition);
Result<ProcessId> launch_qemu(const QemuAccount& account, const HostFiles& files,
                              const HostDefinition& definition, const Launch& launch);

} // namespace lom::vmm
