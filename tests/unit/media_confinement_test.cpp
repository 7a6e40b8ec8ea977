// What a confined lom-media can still do, tried from inside, in a child of the test.
#include "base/fd.h"
#include "base/process.h"
#include "base/sanitized.h"
#include "kvms/media/confinement.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <functional>
#include <thread>

using namespace lom;

namespace {

/// Whether `deed` succeeds in a process that was confined first.
bool allowed(const std::function<bool()>& deed, const media::Reach& reach = {}) {
    const pid_t child = fork();
    if (child == 0) {
        if (!media::confine(reach))
            _exit(3);
        _exit(deed() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 3) << "it could not be confined";
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool opens(const char* path, int flags) {
    return static_cast<bool>(UniqueFd(open(path, flags | O_CLOEXEC, 0600)));
}

bool has_socket(int family, int type) {
    return static_cast<bool>(UniqueFd(socket(family, type | SOCK_CLOEXEC, 0)));
}

bool has_landlock() {
    return syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

struct MediaConfinement : testing::Test {
    void SetUp() override {
        if (sanitized)
            GTEST_SKIP() << "sanitized programs are not confined";
    }
};

} // namespace

TEST_F(MediaConfinement, leaves_what_reading_an_image_takes) {
    EXPECT_TRUE(allowed([] { return has_socket(AF_INET, SOCK_STREAM); }));
    EXPECT_TRUE(allowed([] { return has_socket(AF_INET6, SOCK_STREAM); }));
    EXPECT_TRUE(allowed([] {
        addrinfo* found = nullptr;
        return getaddrinfo("localhost", "80", nullptr, &found) == 0;
    })) << "names are resolved";
    EXPECT_TRUE(allowed([] {
        bool ran = false;
        std::thread([&ran] { ran = true; }).join();
        return ran;
    }));
    EXPECT_TRUE(allowed([] {
        const UniqueFd memory(memfd_create("x", MFD_CLOEXEC));
        return opens(("/proc/self/fd/" + std::to_string(memory.get())).c_str(), O_RDONLY);
    })) << "known host keys are read so";
}

TEST_F(MediaConfinement, leaves_what_libraries_read) {
    const mode_t before = umask(077); // as lom-media has it
    for (const char* file : {"/dev/urandom", "/etc/passwd", "/etc/hosts", "/etc/nsswitch.conf"})
        EXPECT_TRUE(allowed([file] { return opens(file, O_RDONLY); })) << file;
    for (const char* folder : {"/etc", "/usr/lib", "/usr/share"})
        EXPECT_TRUE(allowed([folder] { return opens(folder, O_RDONLY | O_DIRECTORY); })) << folder;
    umask(before);
}

TEST_F(MediaConfinement, no_program_is_started_and_no_process_touched) {
    EXPECT_FALSE(allowed([] {
        execl("/bin/true", "true", nullptr);
        return false;
    }));
    EXPECT_FALSE(allowed([] { return fork() >= 0; }));
    EXPECT_FALSE(allowed([] { return vfork() >= 0; }));
    EXPECT_FALSE(allowed([] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }));
    EXPECT_FALSE(allowed([] { return ptrace(PTRACE_SEIZE, getppid(), nullptr, nullptr) == 0; }));
    EXPECT_FALSE(allowed([] { return kill(getppid(), 0) == 0; }));
    EXPECT_FALSE(allowed([] { return syscall(SYS_pidfd_open, getpid(), 0) >= 0; }));
    EXPECT_FALSE(allowed([] { return syscall(SYS_io_uring_setup, 1, nullptr) >= 0; }));
}

TEST_F(MediaConfinement, no_right_comes_back) {
    EXPECT_FALSE(allowed([] { return setuid(0) == 0; }));
    EXPECT_FALSE(allowed([] { return setresuid(0, 0, 0) == 0; }));
    EXPECT_FALSE(allowed([] { return unshare(CLONE_NEWUSER) == 0; }));
    EXPECT_FALSE(allowed([] { return mount("x", "/mnt", "tmpfs", 0, nullptr) == 0; }));
    EXPECT_FALSE(allowed([] { return prctl(PR_SET_DUMPABLE, 1) == 0; }));
    EXPECT_FALSE(allowed([] { return chroot("/tmp") == 0; }));
}

TEST_F(MediaConfinement, nothing_is_written_and_no_secret_read) {
    EXPECT_FALSE(allowed([] { return opens("/tmp/lom-media-test", O_WRONLY | O_CREAT); }));
    EXPECT_NE(0, access("/tmp/lom-media-test", F_OK));
    EXPECT_FALSE(allowed([] { return opens("/dev/null", O_RDWR); }));
    EXPECT_FALSE(allowed([] { return opens("/dev/fuse", O_RDWR); }));
    EXPECT_FALSE(allowed([] { return unlink("/etc/hostname") == 0; }));
    if (geteuid() == 0) {
        EXPECT_FALSE(allowed([] { return opens("/etc/shadow", O_RDONLY); }));
        EXPECT_FALSE(allowed([] { return opens("/proc/1/environ", O_RDONLY); }));
    }
    if (!has_landlock())
        GTEST_SKIP() << "this kernel has no Landlock";
    EXPECT_FALSE(allowed([] { return opens("/tmp", O_RDONLY | O_DIRECTORY); }));
    EXPECT_FALSE(allowed([] { return opens("/var/lib/dpkg/status", O_RDONLY); }));
    EXPECT_FALSE(allowed([] { return opens("/proc/self/mem", O_RDONLY); }));
}

TEST_F(MediaConfinement, other_programs_have_no_socket_there) {
    if (!has_capability(CAP_SYS_ADMIN))
        GTEST_SKIP() << "a root folder of its own takes the right to mount";
    std::string folder = "/tmp/lom-media-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (folder + "/socket").c_str());
    const auto* name = reinterpret_cast<const sockaddr*>(&address);
    const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener.get(), name, sizeof address), 0);
    ASSERT_EQ(listen(listener.get(), 5), 0);
    ASSERT_EQ(chmod(folder.c_str(), 0755), 0);
    ASSERT_EQ(chmod(address.sun_path, 0777), 0);
    const auto reaches = [name] {
        const UniqueFd own(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        return connect(own.get(), name, sizeof(sockaddr_un)) == 0;
    };
    EXPECT_TRUE(reaches());
    EXPECT_FALSE(allowed(reaches));
    for (const char* place : {"/tmp", "/home", "/var", "/mnt", "/root"})
        EXPECT_FALSE(allowed([place] { return access(place, F_OK) == 0; })) << place;
    unlink(address.sun_path);
    rmdir(folder.c_str());
}

TEST_F(MediaConfinement, low_ports_are_for_who_needs_them) {
    if (!has_capability(CAP_NET_BIND_SERVICE))
        GTEST_SKIP() << "we may not bind them either";
    const auto binds = [] {
        for (std::uint16_t port = 1023; port > 1000; --port) {
            const UniqueFd own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(port);
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (bind(own.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
                return true;
        }
        return false;
    };
    EXPECT_FALSE(allowed(binds));
    EXPECT_TRUE(allowed(binds, {.low_ports = true}));
    EXPECT_FALSE(allowed([] { return setuid(0) == 0; }, {.low_ports = true}));
}

TEST_F(MediaConfinement, a_folder_that_was_handed_over_is_written_in_and_nothing_else) {
    std::string folder = "/tmp/lom-media-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const bool landlock = has_landlock();
    const pid_t child = fork();
    if (child == 0) {
        const auto path = media::hand_over(folder);
        if (!path || !media::confine({.write = *path}))
            _exit(3);
        const std::string file = *path + "/x";
        const bool written = opens(file.c_str(), O_RDWR | O_CREAT) && unlink(file.c_str()) == 0;
        const bool beside = opens("/tmp/lom-media-test", O_RDWR | O_CREAT);
        _exit(written && !(landlock && beside) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    rmdir(folder.c_str());
    EXPECT_EQ(status, 0);
}

TEST_F(MediaConfinement, no_other_kind_of_network) {
    for (const int family : {AF_PACKET, AF_VSOCK, AF_ALG, AF_BLUETOOTH})
        EXPECT_FALSE(allowed([family] { return has_socket(family, SOCK_DGRAM); })) << family;
    EXPECT_FALSE(allowed([] { return has_socket(AF_INET, SOCK_RAW); }));
}

TEST_F(MediaConfinement, says_what_holds) {
    const std::string wanted = std::string(has_capability(CAP_SETUID) ? "user nobody, " : "") +
                               "no capabilities, no new privileges, seccomp" +
                               (has_capability(CAP_SYS_ADMIN) ? ", own root" : "") +
                               (has_landlock() ? ", Landlock" : "");
    const pid_t child = fork();
    if (child == 0) {
        const auto holds = media::confine({});
        _exit(holds && *holds == wanted ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}
