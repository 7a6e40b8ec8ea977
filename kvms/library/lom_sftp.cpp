// lom-sftp FOLDER MAX_BYTES ACCOUNT: OpenSSH's sftp-server on standard input and output, in a world
// that consists of one folder and the system's libraries. Started by lomd for each SFTP session; it
// builds that world, gives up every right, and becomes the server.
#include "base/fd.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <grp.h>
#include <string>

namespace {

constexpr const char* server = "/usr/lib/openssh/sftp-server";
constexpr const char* world = "/mnt"; // any folder that every system has; hidden in our namespace
constexpr const char* refused_requests = "mkdir,rmdir,symlink,hardlink";

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "lom-sftp: %s: %s\n", what.c_str(), std::strerror(errno));
    std::_Exit(1);
}

void write_text(const std::string& path, const std::string& text) {
    const lom::UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!fd || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        give_up(path);
}

/// Namespaces of our own; without the right to them by way of a user namespace.
void leave_the_machine() {
    constexpr int parts = CLONE_NEWNS | CLONE_NEWNET;
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    if (unshare(parts) < 0) {
        if (unshare(parts | CLONE_NEWUSER) < 0)
            give_up("no namespaces");
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
        write_text("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
    }
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
        give_up("no mounts of one's own");
}

void bind(const std::string& from, const std::string& to) {
    if (mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) < 0)
        give_up("cannot bind " + from);
}

/// The dynamic linker's folders as this machine has them: links or folders.
void add_libraries(const std::string& root) {
    mkdir((root + "/usr").c_str(), 0755);
    for (const std::string name : {"/usr/lib", "/usr/lib64", "/lib", "/lib64"}) {
        std::error_code error;
        const auto target = std::filesystem::read_symlink(name, error);
        if (!error) {
            (void)!symlink(target.c_str(), (root + name).c_str());
        } else if (std::filesystem::is_directory(name, error)) {
            mkdir((root + name).c_str(), 0755);
            bind(name, root + name);
            // Where it is not ours to do, its files are root's anyway.
            (void)mount(nullptr, (root + name).c_str(), nullptr,
                        MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr);
        }
    }
}

void build_world(const std::string& folder, const std::string& account) {
    // By descriptor: the folder may lie below what the new world hides.
    const lom::UniqueFd library(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!library || mount("none", world, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755") < 0)
        give_up("no folder " + folder);
    const std::string root = world;
    add_libraries(root);
    for (const char* name : {"/etc", "/dev", "/library"})
        mkdir((root + name).c_str(), 0755);
    write_text(root + "/etc/passwd", "library:x:" + account + ":" + account + "::/library:\n");
    write_text(root + "/dev/null", "");
    bind("/dev/null", root + "/dev/null");
    bind("/proc/self/fd/" + std::to_string(library.get()), root + "/library");
    (void)mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
                "size=64k,mode=755");
    if (chroot(world) < 0 || chdir("/library") < 0)
        give_up("cannot enter " + folder);
}

void limit(unsigned long long most_bytes) {
    const auto set = [](__rlimit_resource what, rlim_t value) {
        const rlimit both{value, value};
        setrlimit(what, &both);
    };
    // The one that lomd lowers later on is soft and hard alike.
    set(RLIMIT_FSIZE, most_bytes);
    set(RLIMIT_NOFILE, 64);
    set(RLIMIT_CORE, 0);
    std::signal(SIGXFSZ, SIG_IGN); // the write fails, and the client is told
}

void give_up_rights(unsigned account) {
    if (getuid() != account &&
        (setgroups(0, nullptr) < 0 || setgid(account) < 0 || setuid(account) < 0))
        give_up("cannot become the library's account");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); // the rest goes with exec
    prctl(PR_SET_PDEATHSIG, SIGKILL);                         // nobody else would take its files in
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/// Modes and owners are the library's; scp -p asks for them all the same, and is told yes.
void filter_calls() {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool fine = filter != nullptr;
    const auto answer = [&](std::uint32_t action, std::initializer_list<int> calls) {
        for (const int call : calls)
            fine = fine && seccomp_rule_add(filter, action, call, 0) == 0;
    };
    answer(SCMP_ACT_ERRNO(0),
           {SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chown),
            SCMP_SYS(fchown), SCMP_SYS(lchown), SCMP_SYS(fchownat)});
    answer(SCMP_ACT_ERRNO(EPERM), {SCMP_SYS(socket),
                                   SCMP_SYS(ptrace),
                                   SCMP_SYS(process_vm_readv),
                                   SCMP_SYS(process_vm_writev),
                                   SCMP_SYS(mount),
                                   SCMP_SYS(umount2),
                                   SCMP_SYS(unshare),
                                   SCMP_SYS(setns),
                                   SCMP_SYS(clone),
                                   SCMP_SYS(fork),
                                   SCMP_SYS(vfork),
                                   SCMP_SYS(mkdir),
                                   SCMP_SYS(mkdirat),
                                   SCMP_SYS(symlink),
                                   SCMP_SYS(symlinkat),
                                   SCMP_SYS(link),
                                   SCMP_SYS(linkat),
                                   SCMP_SYS(mknod),
                                   SCMP_SYS(mknodat),
                                   SCMP_SYS(bpf),
                                   SCMP_SYS(keyctl),
                                   SCMP_SYS(add_key),
                                   SCMP_SYS(request_key),
                                   SCMP_SYS(io_uring_setup),
                                   SCMP_SYS(perf_event_open),
                                   SCMP_SYS(userfaultfd)});
    answer(SCMP_ACT_ERRNO(ENOSYS), {SCMP_SYS(clone3)});
    if (!fine || seccomp_load(filter) != 0)
        give_up("the kernel takes no seccomp filter");
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "lom-sftp: started by lomd only\n");
        return 2;
    }
    const std::string account = argv[3];
    leave_the_machine();
    build_world(argv[1], account);
    limit(std::strtoull(argv[2], nullptr, 10));
    give_up_rights(static_cast<unsigned>(std::strtoul(account.c_str(), nullptr, 10)));
    filter_calls();
    // -e -l INFO: it says on stderr what it opens and closes, and what it had to close itself.
    std::array<const char*, 9> arguments{"sftp-server",    "-e",   "-l", "INFO", "-u", "0077", "-P",
                                         refused_requests, nullptr};
    std::array<const char*, 1> environment{nullptr};
    execve(server, const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
    give_up(std::string("cannot start ") + server);
}
