#include "vmm/qemu_launch.h"

#include "base/stream.h"
#include "vmm/host_files.h"

#include <linux/capability.h>
#include <sys/stat.h>

#include <string>

namespace lom::vmm {

QemuAccount qemu_account(const HostEnvironment& environment) {
    QemuAccount account{environment.qemu_uid, environment.qemu_groups};
    struct stat kvm {};
    if (environment.acceleration != Acceleration::kvm || stat("/dev/kvm", &kvm) != 0)
        return account;
    account.only_root_has_kvm = account.uid && (kvm.st_mode & 0066) == 0;
    if (account.only_root_has_kvm)
        account.uid.reset();
    if ((kvm.st_mode & 0060) == 0060)
        account.groups.push_back(kvm.st_gid);
    return account;
}

Result<void> prepare_launch(const QemuAccount& account, const HostFiles& files,
                            const HostDefinition& definition) {
    if (const auto fine = check_definition(definition); !fine)
        return fine;
    if (const auto other = listener_at(files.qmp()))
        return Fault{FaultKind::busy, "A QEMU that is not ours runs this host (process " +
                                          std::to_string(other->pid) + "); end it first."};
    return prepare_files(files, definition, account.uid);
}

Result<ProcessId> launch_qemu(const QemuAccount& account, const HostFiles& files,
                              const HostDefinition& definition, const Launch& launch) {
    return spawn(
        {.argv = command_line(definition, files, launch),
         .stderr_path = files.qemu_log(),
         .uid = account.uid,
         .gid = account.uid,
         .groups = account.groups,
         // Without an account of its own: for /dev/kvm that is closed to others.
         .capabilities = account.uid ? std::vector<int>() : std::vector{CAP_DAC_OVERRIDE}});
}

} // namespace lom::vmm
