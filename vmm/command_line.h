// QEMU's command line, made from the definition alone: pure, so that it can be tested line by line.
#pragma once

#include "vmm/boot_state.h"
#include "vmm/definition.h"
#include "vmm/medium.h"

#include <string>
#include <vector>

namespace lom::vmm {

/// Files and sockets of one host, all made from its two folders.
struct HostFiles {
    std::string dir;     ///< D/hosts/<name>
    std::string run_dir; ///< R/hosts/<name>
    std::string disk(const std::string& name) const { return dir + "/" + name + ".qcow2"; }
    std::string uefi_variables() const { return dir + "/uefi-vars.fd"; }
    std::string console_log() const { return dir + "/console.log"; }
    std::string qemu_log() const { return dir + "/qemu.log"; }
    std::string disk_log() const { return dir + "/qemu-img.log"; }
    std::string definition() const { return dir + "/definition.json"; }
    std::string boot_state() const { return dir + "/boot.json"; }
    std::string runtime_record() const { return dir + "/runtime.json"; }
    /// QEMU's own folder: the only one that it may write to.
    std::string sockets() const { return run_dir + "/qemu"; }
    std::string pid() const { return sockets() + "/pid"; }
    std::string qmp() const { return sockets() + "/qmp.sock"; }
    std::string second_qmp() const { return sockets() + "/qmp2.sock"; } ///< for tools
    std::string vnc() const { return sockets() + "/vnc.sock"; }
    std::string serial() const { return sockets() + "/serial"; }    ///< as -chardev pipe has it
    std::string serial_input() const { return serial() + ".in"; }   ///< a FIFO
    std::string serial_output() const { return serial() + ".out"; } ///< a link to /dev/null
};

constexpr const char* uefi_code = "/usr/share/OVMF/OVMF_CODE_4M.fd";
constexpr const char* uefi_variables_template = "/usr/share/OVMF/OVMF_VARS_4M.fd";

struct Launch {
    std::string qemu;
    Acceleration acceleration = Acceleration::tcg;
    BootPlan plan;
    bool trap_reboot = false; ///< a guest's reset stops QEMU, and is decided by us
    PerDrive<Medium> media;   ///< in the drives from the start
};

std::vector<std::string> command_line(const HostDefinition& definition, const HostFiles& files,
                                      const Launch& launch);

/// The devices that OpenBoot can name, with the paths that the command line gives them.
std::vector<BootDevice> boot_devices(const HostDefinition& definition);
std::string drive_path(DriveId drive);

} // namespace lom::vmm
