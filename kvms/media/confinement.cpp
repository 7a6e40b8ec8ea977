#include "kvms/media/confinement.h"

#include "base/fd.h"
#include "base/own_root.h"
#include "base/process.h"
#include "base/sanitized.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace lom::media {

namespace {

constexpr uid_t nobody = 65534;

Fault failed(const std::string& what, int error) {
    return {FaultKind::internal,
            "The image's reader cannot be confined: " + what + ": " + std::strerror(error) + "."};
}

// The user

bool drop_capabilities(bool low_ports) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct had[_LINUX_CAPABILITY_U32S_3]{};
    __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3]{};
    if (low_ports && syscall(SYS_capget, &header, had) == 0)
        kept[0].permitted = kept[0].effective = had[0].permitted & (1U << CAP_NET_BIND_SERVICE);
    return syscall(SYS_capset, &header, kept) == 0; // the ambient ones go with them
}

Result<void> become_nobody(const Reach& reach) {
    if (has_capability(CAP_SETUID) && has_capability(CAP_SETGID) &&
        (prctl(PR_SET_KEEPCAPS, 1) != 0 || setgroups(0, nullptr) != 0 ||
         setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0))
        return failed("it cannot become the user nobody", errno);
    // The change of user has taken them out of effect, and the word about the parent too.
    if (!drop_capabilities(reach.low_ports))
        return failed("it keeps capabilities", errno);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        (reach.with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0))
        return failed("prctl", errno);
    return {};
}

// Landlock: which files

constexpr std::uint64_t read_file = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t look = read_file | LANDLOCK_ACCESS_FS_READ_DIR;
/// All that the first version of Landlock knows.
constexpr std::uint64_t everything = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1U) - 1;

/// Names of hosts, authorities of TLS, and the libraries that those take.
constexpr const char* places[] = {"/etc",
                                  "/lib",
                                  "/lib64",
                                  "/usr/lib",
                                  "/usr/lib64",
                                  "/usr/share",
                                  "/usr/local/share/ca-certificates",
                                  "/run/systemd/resolve",
                                  "/run/resolvconf",
                                  "/run/NetworkManager",
                                  "/run/avahi-daemon",
                                  "/dev/urandom"};

/// /proc: the way to descriptors of ours.
bool enter_place() {
    std::vector<const char*> all(std::begin(places), std::end(places));
    all.push_back("/proc");
    return enter_own_root(all);
}

constexpr std::uint64_t keep_files = look | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE;

bool allow(int ruleset, const std::string& path, std::uint64_t in_folders = look) {
    const UniqueFd place(open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat found {};
    if (!place || fstat(place.get(), &found) != 0)
        return true; // not every system has all
    landlock_path_beneath_attr rule{};
    rule.allowed_access = S_ISDIR(found.st_mode) ? in_folders : read_file;
    rule.parent_fd = place.get();
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

/// False: this kernel has none.
Result<bool> limit_files(const Reach& reach) {
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = everything;
    const UniqueFd ruleset(
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0)));
    if (!ruleset && (errno == ENOSYS || errno == EOPNOTSUPP))
        return false;
    bool fine = static_cast<bool>(ruleset);
    for (const char* place : places)
        fine = fine && allow(ruleset.get(), place);
    if (!reach.write.empty())
        fine = fine && allow(ruleset.get(), reach.write, keep_files);
    if (!fine || syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
        return failed("Landlock refuses its rules", errno);
    return true;
}

// seccomp: which calls

constexpr int allowed[] = {
    // memory and threads: clone by its flags below
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(munmap),
    SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list), SCMP_SYS(sched_getaffinity), SCMP_SYS(membarrier),
    // files: openat by its flags below
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(openat2),
    SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fadvise64),
    // waiting
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
    // sockets: socket by its family below
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendto),
    SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(socketpair),
    // itself, and the readers it was handed
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(tgkill),
    SCMP_SYS(pidfd_send_signal), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(getrandom), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(getrusage)};

/// Of who has a folder to write in; where its files are, Landlock and the user say.
constexpr int allowed_writing[] = {SCMP_SYS(openat),    SCMP_SYS(pwrite64),  SCMP_SYS(pwritev),
                                   SCMP_SYS(flock),     SCMP_SYS(unlink),    SCMP_SYS(unlinkat),
                                   SCMP_SYS(fallocate), SCMP_SYS(fdatasync), SCMP_SYS(fsync),
                                   SCMP_SYS(utimensat), SCMP_SYS(statfs),    SCMP_SYS(fstatfs)};

bool allow_by_argument(scmp_filter_ctx filter, bool writes) {
    bool fine = true;
    if (writes)
        for (const int call : allowed_writing)
            fine = fine && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
    else
        fine = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT, O_RDONLY)) == 0;
    for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK})
        fine =
            fine && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                     SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family))) == 0;
    for (const unsigned long request :
         {static_cast<unsigned long>(FIONBIO), static_cast<unsigned long>(FIONREAD)})
        fine = fine && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                        SCMP_A1(SCMP_CMP_EQ, request)) == 0;
    // Its own limits, to be read.
    fine = fine && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                                    SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)) == 0;
    // Threads of its own only; the flags of clone3 lie in memory, libc falls back to clone.
    fine = fine && seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0;
    return fine && seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

struct FilterDeleter {
    void operator()(void* filter) const { seccomp_release(filter); }
};

Result<void> limit_calls(bool writes) {
    const std::unique_ptr<void, FilterDeleter> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
    bool fine = filter != nullptr;
    for (const int call : allowed)
        fine = fine && seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) == 0;
    fine = fine && allow_by_argument(filter.get(), writes) &&
           seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
    const int loaded = fine ? seccomp_load(filter.get()) : -EINVAL;
    return loaded == 0 ? Result<void>() : failed("seccomp", -loaded);
}

// What holds, as the kernel says it

std::string what_holds(int status_file, bool own_root, bool landlock) {
    std::array<char, 4096> bytes{};
    const ssize_t count = pread(status_file, bytes.data(), bytes.size(), 0);
    const std::string status(bytes.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    std::string text;
    const auto add = [&text](bool holds, const char* words) {
        if (holds)
            text += (text.empty() ? "" : ", ") + std::string(words);
    };
    const auto says = [&status](const char* line) {
        return status.find("\n" + std::string(line) + "\n") != std::string::npos;
    };
    add(says("Uid:\t65534\t65534\t65534\t65534"), "user nobody");
    add(says("CapPrm:\t0000000000000000"), "no capabilities");
    add(says("NoNewPrivs:\t1"), "no new privileges");
    add(says("Seccomp:\t2"), "seccomp");
    add(own_root, "own root");
    add(landlock, "Landlock");
    return text;
}

} // namespace

Result<std::string> hand_over(const std::string& folder) {
    UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat facts {};
    bool fine = fd && fstat(fd.get(), &facts) == 0;
    // The mode first: what is nobody's is not ours to change, unless we are root. By its group we
    // come in another time.
    if (fine && facts.st_uid != nobody && has_capability(CAP_SETUID))
        fine = fchmod(fd.get(), 0750) == 0 && fchown(fd.get(), nobody, -1) == 0;
    if (!fine)
        return Fault{FaultKind::unavailable,
                     "The folder " + folder + " cannot be used: " + std::strerror(errno) + "."};
    return "/proc/self/fd/" + std::to_string(fd.release());
}

Result<std::string> confine(const Reach& reach) {
    const UniqueFd status(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    const bool own_root = !sanitized && enter_place();
    if (const auto done = become_nobody(reach); !done)
        return done.fault();
    if (sanitized)
        return what_holds(status.get(), false, false);
    const auto landlock = limit_files(reach);
    if (!landlock)
        return landlock.fault();
    if (const auto done = limit_calls(!reach.write.empty()); !done)
        return done.fault();
    return what_holds(status.get(), own_root, *landlock);
}

} // namespace lom::media
