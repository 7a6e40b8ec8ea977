#include "vmm/kvm_probe.h"

#include "base/fd.h"
#include "base/files.h"
#include "vmm/kvm_probe_guest.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <sstream>

namespace lom::vmm {

namespace {

using namespace std::chrono_literals;

constexpr auto deadline = 1500ms;
// Hardware needs less than one, TCG on a busy machine ten; an emulated loop needs a thousand.
constexpr auto slowest_loop = 100ms;
constexpr std::size_t guest_memory = 4U << 20U;

/// How far the child got; in memory that it shares with us, for it may have to be killed.
struct Report {
    const char* failed_step = nullptr; ///< a literal: the same address on both sides of fork
    int error = 0;                     ///< errno of that step
    ProbeStage stage = ProbeStage::none;
    std::uint32_t exit_reason = 0; ///< KVM_EXIT_..., when the guest has stopped
    std::chrono::nanoseconds loop_time{0};
};

class SharedReport {
  public:
    SharedReport()
        : memory_(mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {
        if (memory_ != MAP_FAILED)
            new (memory_) Report;
    }
    ~SharedReport() {
        if (memory_ != MAP_FAILED)
            munmap(memory_, sizeof(Report));
    }
    SharedReport(const SharedReport&) = delete;
    SharedReport& operator=(const SharedReport&) = delete;
    Report* get() const { return memory_ == MAP_FAILED ? nullptr : static_cast<Report*>(memory_); }

  private:
    void* memory_;
};

// ---- in the child: system calls only, for lomd may have had threads when it forked

bool failed(Report& report, const char* step) {
    report.failed_step = step;
    report.error = errno;
    return false;
}

// The kernel's kvm_cpuid2 ends in a flexible array, which C++ lays out four bytes later than C
// does: our own, and our own request numbers, which carry the head's size.
struct CpuidHead {
    std::uint32_t count;
    std::uint32_t padding;
};
struct CpuidTable {
    CpuidHead head;
    kvm_cpuid_entry2 entries[256]; // NOLINT: the kernel's layout
};
constexpr auto get_supported_cpuid = _IOWR(KVMIO, 0x05, CpuidHead);
constexpr auto set_cpuid2 = _IOW(KVMIO, 0x90, CpuidHead);

bool set_cpuid(int kvm, int vcpu) {
    CpuidTable table{};
    table.head.count = std::size(table.entries);
    return ioctl(kvm, get_supported_cpuid, &table) == 0 && ioctl(vcpu, set_cpuid2, &table) == 0;
}

bool start_at_guest_code(int vcpu) {
    kvm_sregs special{};
    if (ioctl(vcpu, KVM_GET_SREGS, &special) < 0)
        return false;
    special.cs.base = 0;
    special.cs.selector = 0;
    kvm_regs registers{};
    registers.rip = probe_address;
    registers.rflags = 2; // the bit that is always set
    return ioctl(vcpu, KVM_SET_SREGS, &special) == 0 && ioctl(vcpu, KVM_SET_REGS, &registers) == 0;
}

bool load_guest(int vm) {
    void* memory = mmap(nullptr, guest_memory, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    std::memcpy(static_cast<char*>(memory) + probe_address, lom_probe_guest_begin,
                static_cast<std::size_t>(lom_probe_guest_end - lom_probe_guest_begin));
    kvm_userspace_memory_region region{};
    region.memory_size = guest_memory;
    region.userspace_addr = reinterpret_cast<std::uint64_t>(memory);
    return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

std::chrono::nanoseconds processor_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

bool is_marker(const kvm_run& run) {
    return run.exit_reason == KVM_EXIT_IO && run.io.direction == KVM_EXIT_IO_OUT &&
           run.io.port == probe_port && run.io.size == 1;
}

void follow_guest(int vcpu, const kvm_run& run, Report& report) {
    auto last = processor_time();
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, 0) < 0) {
            if (errno == EINTR)
                continue;
            failed(report, "run a virtual processor");
            return;
        }
        if (!is_marker(run)) {
            report.exit_reason = run.exit_reason;
            return;
        }
        const auto now = processor_time();
        report.loop_time = now - std::exchange(last, now);
        report.stage = static_cast<ProbeStage>(
            reinterpret_cast<const unsigned char*>(&run)[run.io.data_offset]);
    }
}

bool run_guest(int kvm, Report& report) {
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return failed(report, "speak KVM's interface");
    const int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0)
        return failed(report, "create a virtual machine");
    (void)ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000); // Intel wants it, others do not mind
    if (!load_guest(vm))
        return failed(report, "give a virtual machine memory");
    const int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
    if (vcpu < 0)
        return failed(report, "create a virtual processor");
    const int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < static_cast<int>(sizeof(kvm_run)))
        return failed(report, "share a virtual processor's state");
    void* run =
        mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED || !set_cpuid(kvm, vcpu) || !start_at_guest_code(vcpu))
        return failed(report, "set up a virtual processor");
    follow_guest(vcpu, *static_cast<const kvm_run*>(run), report);
    return true;
}

[[noreturn]] void be_child(int kvm, Report& report) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Ours alone to hold: the parent's sockets and files are not.
    const int only = kvm == 3 ? 3 : dup2(kvm, 3);
    syscall(SYS_close_range, 4U, ~0U, 0);
    run_guest(only, report);
    _exit(0);
}

// ---- in the parent

/// False: it had to be killed.
bool wait_for(pid_t child) {
    const UniqueFd ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    pollfd watch{ended.get(), POLLIN, 0};
    const auto end = std::chrono::steady_clock::now() + deadline;
    bool in_time = false;
    for (auto left = deadline; !in_time && left > 0ms;
         left =
             std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()))
        in_time = poll(&watch, 1, static_cast<int>(left.count())) == 1;
    if (!in_time) {
        kill(child, SIGKILL);
        (void)poll(&watch, 1, 200);
    }
    // Not waited for without end: a broken KVM may hold the child in the kernel.
    waitpid(child, nullptr, WNOHANG);
    return in_time;
}

Result<Report> run_in_child(int kvm, bool& in_time) {
    const SharedReport shared;
    if (shared.get() == nullptr)
        return Fault{FaultKind::internal, std::strerror(errno)};
    const pid_t child = fork();
    if (child < 0)
        return Fault{FaultKind::internal, std::strerror(errno)};
    if (child == 0)
        be_child(kvm, *shared.get());
    in_time = wait_for(child);
    return *shared.get();
}

const char* name_of(ProbeStage stage) {
    switch (stage) {
    case ProbeStage::none:
        return "nothing";
    case ProbeStage::real_mode:
        return "real-mode code";
    case ProbeStage::fpu:
        return "floating-point instructions";
    case ProbeStage::long_mode:
        return "64-bit mode";
    case ProbeStage::sse:
        return "SSE instructions";
    case ProbeStage::exceptions:
        return "exceptions";
    case ProbeStage::kernel:
        return "a kernel's addresses";
    case ProbeStage::speed:
        return "a long loop";
    }
    return "unknown code";
}

std::string how_it_ended(const Report& report, bool in_time) {
    if (!in_time)
        return "hangs";
    if (report.failed_step != nullptr)
        return std::string("fails (") + std::strerror(report.error) + ")";
    switch (report.exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
        return "gives up (KVM_EXIT_INTERNAL_ERROR)";
    case KVM_EXIT_SHUTDOWN:
        return "crashes the guest (KVM_EXIT_SHUTDOWN)";
    case KVM_EXIT_HLT:
        return "computes wrongly";
    default:
        return "stops (KVM exit " + std::to_string(report.exit_reason) + ")";
    }
}

std::string milliseconds_text(std::chrono::nanoseconds time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

KvmProbe judge(const std::string& device, const Report& report, bool in_time) {
    constexpr const char* software_kvm =
        "This kernel's KVM emulates instead of using the processor's virtualisation: run on bare "
        "metal, or have nested virtualisation switched on for this virtual machine.";
    KvmProbe probe;
    probe.real_mode = report.stage >= ProbeStage::real_mode;
    if (!probe.real_mode && report.failed_step != nullptr) {
        probe.reason = device + " opens but cannot " + report.failed_step + ": " +
                       std::strerror(report.error) + ".";
        if (report.error == EBUSY)
            probe.remedy = "Another hypervisor holds the processor's virtualisation; stop it.";
        return probe;
    }
    const bool halted = in_time && report.exit_reason == KVM_EXIT_HLT;
    if (report.stage == ProbeStage::speed && halted && report.loop_time <= slowest_loop) {
        probe.usable = true;
        probe.reason = device + " runs 64-bit code at hardware speed.";
        return probe;
    }
    probe.remedy = software_kvm;
    if (report.stage == ProbeStage::speed)
        probe.reason =
            device +
            " runs 64-bit code, but too slowly: a loop that takes hardware 1 ms takes it " +
            milliseconds_text(report.loop_time) + " ms.";
    else
        probe.reason = device + " opens but cannot run a 64-bit kernel: it runs " +
                       name_of(report.stage) + ", then " + how_it_ended(report, in_time) + " at " +
                       name_of(static_cast<ProbeStage>(static_cast<int>(report.stage) + 1)) + ".";
    return probe;
}

/// kvm_intel, kvm_amd, or empty when the processor shows neither flag.
std::string module_for(const std::string& cpuinfo) {
    const auto text = read_file(cpuinfo);
    if (!text)
        return "";
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("flags"))
            continue;
        line += ' ';
        if (line.find(" vmx ") != std::string::npos)
            return "kvm_intel";
        if (line.find(" svm ") != std::string::npos)
            return "kvm_amd";
    }
    return "";
}

KvmProbe no_device(const std::string& device, const std::string& cpuinfo) {
    KvmProbe probe;
    const std::string module = module_for(cpuinfo);
    if (module.empty()) {
        probe.reason = "There is no " + device +
                       ", and the processor shows no hardware virtualisation (vmx or svm).";
        probe.remedy = "Switch on Intel VT-x or AMD-V (SVM) in the BIOS setup; in a virtual "
                       "machine, have nested virtualisation switched on by its host.";
    } else {
        probe.reason = "There is no " + device +
                       ", although the processor can virtualise: the kernel module " + module +
                       " is not loaded.";
        probe.remedy = "Load it: modprobe " + module +
                       ". If that is refused, switch on virtualisation in the BIOS setup.";
    }
    return probe;
}

KvmProbe no_permission(const std::string& device) {
    KvmProbe probe;
    probe.reason = "No permission to open " + device + " for reading and writing.";
    probe.remedy = "Add this account to the group kvm (adduser NAME kvm) and log in anew, or run "
                   "as root.";
    struct stat info {};
    if (stat(device.c_str(), &info) == 0 && (info.st_gid == 0 || (info.st_mode & S_IRWXG) == 0))
        probe.remedy += " The device must be the group's, too: chgrp kvm " + device +
                        "; chmod 660 " + device + ".";
    return probe;
}

} // namespace

KvmProbe probe_kvm(const std::string& device, const std::string& cpuinfo) {
    const UniqueFd kvm(open(device.c_str(), O_RDWR | O_CLOEXEC));
    const int error = errno;
    if (!kvm && (error == ENOENT || error == ENXIO || error == ENODEV))
        return no_device(device, cpuinfo);
    if (!kvm && (error == EACCES || error == EPERM))
        return no_permission(device);
    KvmProbe probe;
    if (!kvm) {
        probe.reason = "Cannot open " + device + ": " + std::strerror(error) + ".";
        return probe;
    }
    bool in_time = false;
    const auto report = run_in_child(kvm.get(), in_time);
    if (report)
        return judge(device, *report, in_time);
    probe.reason = "KVM was not tried: " + report.fault().message + ".";
    return probe;
}

} // namespace lom::vmm
