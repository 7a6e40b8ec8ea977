#include "base/process.h"

#include "base/files.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace lom {

namespace {

// Runs between fork and exec: async-signal-safe calls only.
void place_fds(const SpawnOptions& options, int report) {
    // First out of the way of every target number, then into place.
    constexpr int above_all_targets = 64;
    int moved[16];
    const std::size_t count = std::min<std::size_t>(options.fds.size(), 16);
    for (std::size_t i = 0; i < count; ++i)
        moved[i] = fcntl(options.fds[i].first, F_DUPFD_CLOEXEC, above_all_targets);
    for (std::size_t i = 0; i < count; ++i)
        dup2(moved[i], options.fds[i].second);
    int highest = 2;
    for (std::size_t i = 0; i < count; ++i)
        highest = std::max(highest, options.fds[i].second);
    // Whatever lies between the wanted numbers is not meant for the child.
    for (int fd = 3; fd <= highest; ++fd) {
        const bool wanted = std::any_of(options.fds.begin(), options.fds.end(),
                                        [fd](const auto& entry) { return entry.second == fd; });
        if (!wanted && fd != report)
            close(fd);
    }
    syscall(SYS_close_range, highest + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
}

// A user that is not root hands its ambient capabilities on to all that it starts.
bool drop_capabilities(const std::vector<int>& kept) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return false;
    for (const int capability : kept) // refused where we have it not to hand on
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
    return true;
}

bool drop_privileges(const SpawnOptions& options) {
    if (options.gid) {
        if (setgroups(options.groups.size(), options.groups.data()) < 0 || setgid(*options.gid) < 0)
            return false;
    }
    if (options.uid && setuid(*options.uid) < 0)
        return false;
    if (!drop_capabilities(options.capabilities))
        return false;
    return !options.no_new_privs || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

[[noreturn]] void report_and_die(int report) {
    const int error = errno;
    (void)!write(report, &error, sizeof(error));
    _exit(127);
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    for (const std::string& string : strings)
        pointers.push_back(const_cast<char*>(string.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

[[noreturn]] void become(const SpawnOptions& options, char** argv, char** envp, int report) {
    if (options.new_session)
        setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    if (!options.stderr_path.empty()) {
        const int log = open(options.stderr_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (log < 0)
            report_and_die(report);
        dup2(log, STDERR_FILENO);
        dup2(log, STDOUT_FILENO);
    }
    // Out of the way of the numbers that place_fds() fills and closes.
    const int program_folder = fcntl(options.program_folder, F_DUPFD_CLOEXEC, 64);
    const int working_folder = fcntl(options.working_folder, F_DUPFD_CLOEXEC, 64);
    place_fds(options, report);
    if (options.controlling_terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
        report_and_die(report);
    const int changed =
        working_folder >= 0 ? fchdir(working_folder) : chdir(options.working_dir.c_str());
    if (changed < 0 || !drop_privileges(options))
        report_and_die(report);
    if (program_folder >= 0)
        execveat(program_folder, argv[0], argv, envp, 0);
    else
        execvpe(argv[0], argv, envp);
    report_and_die(report);
}

} // namespace

bool has_capability(int capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

void run_as_nobody(SpawnOptions& options) {
    constexpr uid_t nobody = 65534;
    if (!has_capability(CAP_SETUID) || !has_capability(CAP_SETGID))
        return;
    options.uid = nobody;
    options.gid = nobody;
}

Result<ProcessId> spawn(const SpawnOptions& options) {
    std::vector<char*> argv = pointers_to(options.argv);
    std::vector<char*> envp = pointers_to(options.environment);

    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return Fault{FaultKind::internal,
                     std::string("Cannot make a pipe: ") + std::strerror(errno)};
    UniqueFd report_read(ends[0]);
    // High, so that it never collides with a number promised to the child.
    UniqueFd report_write(fcntl(ends[1], F_DUPFD_CLOEXEC, 128));
    close(ends[1]);

    const pid_t pid = fork();
    if (pid < 0)
        return Fault{FaultKind::internal, std::string("Cannot fork: ") + std::strerror(errno)};
    if (pid == 0)
        become(options, argv.data(), options.environment.empty() ? environ : envp.data(),
               report_write.get());
    report_write.reset();
    int error = 0;
    ssize_t count = 0;
    do
        count = read(report_read.get(), &error, sizeof(error));
    while (count < 0 && errno == EINTR);
    if (count > 0) {
        waitpid(pid, nullptr, 0);
        return Fault{FaultKind::unavailable,
                     "Cannot start " + options.argv.front() + ": " + std::strerror(error)};
    }
    return ProcessId{pid, start_time_of(pid).value_or(0)};
}

std::optional<std::uint64_t> start_time_of(pid_t pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    if (!stat)
        return std::nullopt;
    // The command name in parentheses may itself hold spaces and parentheses.
    std::size_t position = stat->rfind(')');
    if (position == std::string::npos || position + 2 >= stat->size() ||
        (*stat)[position + 2] == 'Z')
        return std::nullopt;
    ++position;
    for (int field = 3; field <= 22; ++field) {
        position = stat->find(' ', position);
        if (position == std::string::npos)
            return std::nullopt;
        ++position;
    }
    std::uint64_t value = 0;
    std::from_chars(stat->data() + position, stat->data() + stat->size(), value);
    return value;
}

bool is_alive(const ProcessId& process) {
    const auto start = start_time_of(process.pid);
    return process.pid > 0 && start && *start == process.start_time;
}

bool send_signal(const ProcessId& process, int signal) {
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
    // Compared after opening: the pidfd pins the process that the start time speaks of.
    return pidfd && is_alive(process) &&
           syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

} // namespace lom
