#include "vmm/host_files.h"

#include "base/files.h"
#include "base/process.h"
#include "vmm/qemu_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lom::vmm {

namespace {

Fault file_fault(const std::string& what, const std::string& path) {
    return {FaultKind::internal, what + " " + path + ": " + std::strerror(errno)};
}

Result<void> make_sockets_folder(const HostFiles& files) {
    if (const auto made = make_directories(files.sockets(), 0700); !made)
        return made;
    // Not the pid file: its lock is what keeps a second QEMU away.
    for (const std::string& path : {files.qmp(), files.second_qmp(), files.vnc(),
                                    files.serial_input(), files.serial_output()})
        unlink(path.c_str());
    if (mkfifo(files.serial_input().c_str(), 0600) < 0)
        return file_fault("Cannot make", files.serial_input());
    if (symlink("/dev/null", files.serial_output().c_str()) < 0)
        return file_fault("Cannot make", files.serial_output());
    return {};
}

Result<void> make_uefi_variables(const HostFiles& files) {
    if (access(files.uefi_variables().c_str(), F_OK) == 0)
        return {};
    const auto variables = read_file(uefi_variables_template);
    if (!variables)
        return Fault{FaultKind::unavailable, "UEFI firmware is not installed; install the package "
                                             "ovmf, or set firmware=bios."};
    return write_file_durably(files.uefi_variables(), *variables, 0600);
}

Result<void> make_console_log(const HostFiles& files) {
    const UniqueFd log(open(files.console_log().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    return log ? Result<void>() : file_fault("Cannot open", files.console_log());
}

Result<void> hand_over(const HostFiles& files, const HostDefinition& definition, uid_t owner) {
    std::vector<std::string> paths{files.sockets(), files.serial_input(), files.console_log()};
    for (const Disk& disk : definition.disks)
        paths.push_back(files.disk(disk.name));
    if (definition.firmware == Firmware::uefi)
        paths.push_back(files.uefi_variables());
    if (access(files.pid().c_str(), F_OK) == 0)
        paths.push_back(files.pid());
    for (const std::string& path : paths)
        if (lchown(path.c_str(), owner, owner) < 0)
            return file_fault("Cannot give QEMU's account", path);
    return {};
}

Result<ProcessId> start_tool(const HostFiles& files, const Disk& disk) {
    unlink(files.disk_log().c_str());
    return spawn({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", files.disk(disk.name),
                           std::to_string(disk.size)},
                  .stderr_path = files.disk_log()});
}

Result<void> finish_disk(const HostFiles& files, const Disk& disk, int wait_status) {
    const auto log = read_file(files.disk_log());
    unlink(files.disk_log().c_str());
    const std::string file = files.disk(disk.name);
    if (wait_status == 0 && chmod(file.c_str(), 0600) == 0)
        return {};
    unlink(file.c_str());
    const std::string words = log ? last_words(*log) : "";
    return Fault{FaultKind::unavailable,
                 "The disk cannot be made: " +
                     (words.empty() ? "qemu-img failed" + how_it_ended(wait_status) : words)};
}

} // namespace

Result<void> prepare_files(const HostFiles& files, const HostDefinition& definition,
                           std::optional<uid_t> owner) {
    if (const auto made = make_sockets_folder(files); !made)
        return made;
    if (const auto made = make_console_log(files); !made)
        return made;
    if (definition.firmware == Firmware::uefi)
        if (const auto made = make_uefi_variables(files); !made)
            return made;
    for (const Disk& disk : definition.disks)
        if (access(files.disk(disk.name).c_str(), F_OK) < 0)
            return file_fault("The image of " + disk.name + " is missing:", files.disk(disk.name));
    // One power-on's log: bounded by starting anew, the last one is kept.
    rename(files.qemu_log().c_str(), (files.qemu_log() + ".1").c_str());
    return owner ? hand_over(files, definition, *owner) : Result<void>();
}

Result<void> make_disk(const HostFiles& files, const Disk& disk) {
    const auto tool = start_tool(files, disk);
    if (!tool)
        return tool.fault();
    int wait_status = -1;
    waitpid(tool->pid, &wait_status, 0);
    return finish_disk(files, disk, wait_status);
}

DiskMaker::DiskMaker(Loop& loop, HostFiles files, Disk disk, Done done)
    : files_(std::move(files)), disk_(std::move(disk)), done_(std::move(done)) {
    const auto tool = start_tool(files_, disk_);
    auto finish = [this](const Result<void>& result) {
        const auto tell = std::move(done_); // it may destroy this object
        tell(result);
    };
    if (tool)
        exit_watch_ = loop.on_exit(tool->pid, [this, finish](int wait_status) {
            finish(finish_disk(files_, disk_, wait_status));
        });
    else
        exit_watch_ = loop.after(std::chrono::milliseconds(0),
                                 [finish, fault = tool.fault()] { finish(fault); });
}

} // namespace lom::vmm
