#include "sp/preflight.h"

#include "sp/service/ssh_door.h"
#include "vmm/kvm_probe.h"

#include <sys/statvfs.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace lom {

namespace {

class Report {
  public:
    explicit Report(std::ostream& out) : out_(out) {}
    void line(const char* what, const char* verdict, const std::string& text) {
        std::array<char, 64> head{};
        std::snprintf(head.data(), head.size(), "%-10s %-8s ", what, verdict);
        out_ << head.data() << text << "\n";
    }
    void good(const char* what, const std::string& text) { line(what, "ok", text); }
    void warn(const char* what, const std::string& text) { line(what, "warning", text); }
    void bad(const char* what, const std::string& text) {
        line(what, "missing", text);
        fine_ = false;
    }
    bool fine() const { return fine_; }

  private:
    std::ostream& out_;
    bool fine_ = true;
};

std::string find_in_path(const std::string& program) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
    std::string folder;
    while (std::getline(folders, folder, ':'))
        if (access((folder + "/" + program).c_str(), X_OK) == 0)
            return folder + "/" + program;
    return "";
}

void check_kvm(Report& report) {
    const auto probe = vmm::probe_kvm();
    if (probe.usable)
        report.good("KVM", probe.reason);
    else
        report.warn("KVM", probe.reason + " Hosts run emulated (TCG), slowly. " + probe.remedy);
}

void check_fuse(Report& report) {
    if (access("/dev/fuse", R_OK | W_OK) == 0)
        report.good("FUSE", "/dev/fuse can be used: remote images work.");
    else if (access("/dev/fuse", F_OK) == 0)
        report.bad("FUSE", "/dev/fuse is not accessible; run lomd as root.");
    else
        report.bad("FUSE",
                   "There is no /dev/fuse: remote images cannot be shown. Load it: modprobe "
                   "fuse.");
}

void check_program(Report& report, const char* what, const std::string& program,
                   const std::string& package) {
    const std::string path = find_in_path(program);
    if (path.empty())
        report.bad(what, program + " is not installed: apt-get install " + package + ".");
    else
        report.good(what, path);
}

void check_file(Report& report, const char* what, const std::string& path,
                const std::string& package) {
    if (access(path.c_str(), R_OK) == 0)
        report.good(what, path);
    else
        report.warn(what,
                    path + " is missing, which UEFI hosts need: apt-get install " + package + ".");
}

void check_port(Report& report, const PreflightOptions& options) {
    const auto listener = listen_tcp(options.listen, options.ssh_port);
    const std::string place = options.listen + " port " + std::to_string(options.ssh_port);
    if (listener)
        report.good("SSH", place + " is free.");
    else
        report.bad("SSH", listener.fault().message + "; give another --ssh-port.");
}

void check_disk(Report& report, std::string folder) {
    struct statvfs info {};
    while (statvfs(folder.c_str(), &info) != 0 && folder.size() > 1)
        folder = folder.substr(0, std::max<std::size_t>(folder.rfind('/'), 1));
    const auto free_mb = static_cast<unsigned long long>(info.f_bavail) * info.f_frsize >> 20U;
    const std::string text = std::to_string(free_mb) + " MB free for the state folder.";
    if (free_mb < 256)
        report.warn("disk", text + " Disks of hosts and console logs need more.");
    else
        report.good("disk", text);
}

} // namespace

bool preflight(const PreflightOptions& options, std::ostream& out) {
    Report report(out);
    check_kvm(report);
    check_program(report, "QEMU", "qemu-system-x86_64", "qemu-system-x86");
    check_program(report, "disks", "qemu-img", "qemu-utils");
    check_file(report, "UEFI", "/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf");
    check_fuse(report);
    check_program(report, "ping", "ping", "iputils-ping");
    check_port(report, options);
    check_disk(report, options.state_dir);
    return report.fine();
}

} // namespace lom
