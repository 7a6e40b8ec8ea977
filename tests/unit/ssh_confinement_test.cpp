// What a confined lom-ssh can still do, tried in a child of the test.
#include "base/fd.h"
#include "base/sanitized.h"
#include "shell/ssh/confinement.h"
#include "shell/ssh/reach.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pty.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

using namespace lom;

namespace {

/// Whether `deed` succeeds in a process that was confined first.
bool allowed(const std::function<bool()>& deed, const char* folder = "/usr/bin") {
    const pid_t child = fork();
    if (child == 0) {
        const UniqueFd programs(open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!shell::limit_reach(programs.get()) || !shell::confine())
            _exit(3);
        _exit(deed() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 3) << "it could not be confined";
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool opens(const char* path, int flags) {
    return static_cast<bool>(UniqueFd(open(path, flags, 0600)));
}

bool runs(const char* program) {
    const pid_t child = fork();
    if (child == 0) {
        execl(program, program, nullptr);
        _exit(127);
    }
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool has_landlock() {
    return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

struct Confinement : testing::Test {
    void SetUp() override {
        if (sanitized)
            GTEST_SKIP() << "sanitized programs are not confined";
    }
};

} // namespace

TEST_F(Confinement, a_session_gets_what_it_needs) {
    EXPECT_TRUE(allowed([] { return opens("/dev/null", O_RDWR); }));
    EXPECT_TRUE(allowed([] { return opens("/proc/self/stat", O_RDONLY); }));
    EXPECT_TRUE(allowed([] { return runs("/usr/bin/true"); })) << "in the folder of programs";
    EXPECT_TRUE(allowed([] {
        return static_cast<bool>(UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    }));
    EXPECT_TRUE(allowed([] {
        int master = -1;
        int slave = -1;
        return openpty(&master, &slave, nullptr, nullptr, nullptr) == 0;
    }));
}

TEST_F(Confinement, there_is_no_network) {
    for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET})
        EXPECT_FALSE(allowed([family] {
            return static_cast<bool>(UniqueFd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
        }));
}

TEST_F(Confinement, nothing_is_created_or_traced_or_typed) {
    EXPECT_FALSE(allowed([] { return opens("/tmp/lom-confinement-test", O_WRONLY | O_CREAT); }));
    EXPECT_NE(0, access("/tmp/lom-confinement-test", F_OK));
    EXPECT_FALSE(allowed([] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }));
    EXPECT_FALSE(allowed([] { return unshare(CLONE_NEWUSER) == 0; }));
    EXPECT_FALSE(allowed([] {
        int master = -1;
        int slave = -1;
        char c = 'x';
        return openpty(&master, &slave, nullptr, nullptr, nullptr) == 0 &&
               ioctl(slave, TIOCSTI, &c) == 0;
    }));
}

TEST_F(Confinement, other_files_are_out_of_reach) {
    if (!has_landlock())
        GTEST_SKIP() << "this kernel has no Landlock";
    EXPECT_FALSE(allowed([] { return opens("/etc/passwd", O_RDONLY); }));
    EXPECT_FALSE(allowed([] { return opens("/", O_RDONLY | O_DIRECTORY); }));
    EXPECT_FALSE(allowed([] { return runs("/usr/bin/true"); }, "/usr/share")) << "not ours";
    EXPECT_FALSE(allowed([] { return opens("/proc/self/comm", O_WRONLY); }));
}
