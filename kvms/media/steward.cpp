#include "kvms/media/steward.h"

#include "base/passed_fds.h"
#include "base/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

namespace lom::media {

namespace {

constexpr std::size_t longest_order = 32U << 10U;
constexpr std::size_t most_known_hosts = 4U << 20U;
constexpr std::size_t most_fds = 2;
constexpr const char* wide_read_ahead = "256"; // KiB

using Fds = std::array<UniqueFd, most_fds>;

/// One packet with descriptors. False: the other side has gone.
bool send_packet(int line, std::span<const char> bytes, const Fds& fds = {}) {
    std::vector<int> passed;
    for (const UniqueFd& fd : fds)
        if (fd)
            passed.push_back(fd.get());
    return send_with_fds(line, bytes, passed, Waiting::yes) == static_cast<ssize_t>(bytes.size());
}

/// Bytes of the packet; 0 or less: the other side has gone.
ssize_t receive_packet(int line, std::span<char> bytes, Fds& fds) {
    Received received;
    do
        received = receive_with_fds(line, bytes, most_fds, Waiting::yes);
    while (received.count < 0 && errno == EINTR);
    std::move(received.fds.begin(), received.fds.end(), fds.begin());
    return received.count;
}

std::span<char> bytes_of(int& number) { return {reinterpret_cast<char*>(&number), sizeof number}; }

/// As libssh begins the line of a host.
std::string known_name(const ImageUri& uri) {
    static constexpr std::uint16_t ssh_port = 22;
    std::string host = uri.host;
    std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    return (uri.port == ssh_port ? host : "[" + host + "]:" + std::to_string(uri.port)) + " ";
}

// The steward itself. Each deed answers 0 or errno.

class Obedience {
  public:
    explicit Obedience(Steward::Domain domain) : domain_(std::move(domain)) {}

    void serve(int line) {
        std::array<char, longest_order> order{};
        Fds none;
        for (ssize_t size = 0; (size = receive_packet(line, order, none)) > 0;) {
            Fds fds;
            int error = obey(order[0], {order.data() + 1, static_cast<std::size_t>(size) - 1}, fds);
            if (!send_packet(line, bytes_of(error), fds))
                return;
        }
    }

  private:
    int obey(char order, std::string_view text, Fds& fds) {
        switch (order) {
        case 'm':
            return mount_image(fds[0]);
        case 'u':
            return unmount_image();
        case 'w':
            return read_wider();
        case 'f':
            return open_below(fds[0]);
        case 'r':
            return start_reader(fds);
        case 'k':
            fds[0].reset(open(domain_.known_hosts.c_str(), O_RDONLY | O_CLOEXEC));
            return fds[0] || errno == ENOENT ? 0 : errno;
        case 'a':
            return add_known_host(text);
        default:
            return EINVAL;
        }
    }

    int mount_image(UniqueFd& fuse) {
        fuse.reset(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
        if (!fuse)
            return errno;
        const std::string options =
            "fd=" + std::to_string(fuse.get()) + "," + domain_.mount_options;
        if (::mount("lom-media", domain_.mount_point.c_str(), "fuse.lom-media",
                    MS_RDONLY | MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
            const int error = errno;
            fuse.reset();
            return error;
        }
        mounted_ = true;
        return 0;
    }

    int unmount_image() {
        if (!std::exchange(mounted_, false))
            return EINVAL;
        const int done = umount2(domain_.mount_point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
        return done == 0 ? 0 : errno;
    }

    /// Only asks what the kernel knows itself: lom-media waits for us and could answer nothing.
    int read_wider() const {
        struct statx about {};
        if (!mounted_)
            return EINVAL;
        if (statx(AT_FDCWD, domain_.mount_point.c_str(), AT_STATX_DONT_SYNC, STATX_TYPE, &about) !=
            0)
            return errno;
        const std::string setting = "/sys/class/bdi/" + std::to_string(about.stx_dev_major) + ":" +
                                    std::to_string(about.stx_dev_minor) + "/read_ahead_kb";
        const UniqueFd file(open(setting.c_str(), O_WRONLY | O_CLOEXEC));
        return file && write(file.get(), wide_read_ahead, std::strlen(wide_read_ahead)) > 0 ? 0
                                                                                            : errno;
    }

    /// Without leaving the folder, whatever links lie there.
    int open_below(UniqueFd& fd) const {
        const std::filesystem::path relative =
            std::filesystem::path(domain_.uri.path)
                .lexically_normal()
                .lexically_relative(
                    std::filesystem::path(domain_.allowed_folder).lexically_normal());
        if (domain_.uri.scheme != "file" || domain_.allowed_folder.empty() || relative.empty() ||
            *relative.begin() == "..")
            return EACCES;
        const UniqueFd root(open(domain_.allowed_folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        open_how how{};
        how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        fd.reset(
            static_cast<int>(syscall(SYS_openat2, root.get(), relative.c_str(), &how, sizeof how)));
        struct stat about {};
        if (!fd || fstat(fd.get(), &about) != 0)
            return errno;
        if (S_ISREG(about.st_mode))
            return 0;
        fd.reset(); // a device is nobody's to hold
        return EISDIR;
    }

    int start_reader(Fds& fds) const {
        std::array<int, 2> ends{};
        if (domain_.reader.empty() ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
            return EINVAL;
        UniqueFd ours(ends[0]);
        const UniqueFd theirs(ends[1]);
        const auto process = spawn({.argv = {domain_.reader},
                                    .fds = {{theirs.get(), 0}, {STDERR_FILENO, 2}},
                                    .capabilities = {CAP_NET_BIND_SERVICE, CAP_SETGID, CAP_SETUID,
                                                     CAP_SYS_ADMIN}, // it gives them up
                                    .new_session = false,
                                    .environment = {"HOME=/nonexistent", "PATH=/usr/bin:/bin"}});
        if (!process)
            return ENOENT;
        fds = {std::move(ours),
               UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, process->pid, 0)))};
        return 0;
    }

    int add_known_host(std::string_view line) const {
        if (domain_.known_hosts.empty() || !line.starts_with(known_name(domain_.uri)) ||
            line.find('\n') != line.size() - 1)
            return EINVAL;
        const UniqueFd file(open(domain_.known_hosts.c_str(),
                                 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (!file)
            return errno;
        const ssize_t count = write(file.get(), line.data(), line.size());
        return count == static_cast<ssize_t>(line.size()) ? 0 : EIO;
    }

    Steward::Domain domain_;
    bool mounted_ = false;
};

[[noreturn]] void live(Steward::Domain domain, int line) {
    prctl(PR_SET_NAME, "lom-steward");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    for (const int number : {SIGINT, SIGHUP, SIGTERM})
        signal(number, SIG_IGN); // lom-media's end is ours
    // Nothing of lom-media's but its standard error and this line.
    const int keep = fcntl(line, F_DUPFD_CLOEXEC, 3);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO})
        close(fd);
    if (keep > 3)
        syscall(SYS_close_range, 3, keep - 1, 0);
    syscall(SYS_close_range, keep + 1, ~0U, 0);
    open("/dev/null", O_RDONLY);
    open("/dev/null", O_WRONLY);
    Obedience(std::move(domain)).serve(keep);
    _exit(0);
}

Fault refused(const std::string& what, int error) {
    return {FaultKind::unavailable, what + ": " + std::strerror(error) + "."};
}

} // namespace

struct Steward::Answer {
    int error = EPIPE; ///< the steward has gone
    Fds fds;
};

Result<Steward> Steward::start(Domain domain) {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return refused("The steward cannot be started", errno);
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    const pid_t child = fork();
    if (child < 0)
        return refused("The steward cannot be started", errno);
    if (child == 0)
        live(std::move(domain), its.get());
    return Steward(std::move(ours));
}

Steward::Answer Steward::ask(char order, std::string_view text) {
    Answer answer;
    const std::string packet = order + std::string(text);
    if (packet.size() <= longest_order && send_packet(line_.get(), packet) &&
        receive_packet(line_.get(), bytes_of(answer.error), answer.fds) !=
            static_cast<ssize_t>(sizeof answer.error))
        answer.error = EPIPE;
    return answer;
}

Result<UniqueFd> Steward::mount() {
    Answer answer = ask('m');
    if (answer.error != 0)
        return refused("FUSE cannot mount there; run as root, and see that /dev/fuse exists "
                       "(modprobe fuse)",
                       answer.error);
    return std::move(answer.fds[0]);
}

void Steward::read_wider() { (void)ask('w'); }

void Steward::unmount() { (void)ask('u'); }

Result<UniqueFd> Steward::open_file() {
    Answer answer = ask('f');
    if (answer.error == 0)
        return std::move(answer.fds[0]);
    const FaultKind kind = answer.error == ENOENT   ? FaultKind::not_found
                           : answer.error == EISDIR ? FaultKind::wrong_state
                                                    : FaultKind::denied;
    return Fault{kind, std::strerror(answer.error)};
}

Result<Steward::Reader> Steward::start_reader() {
    Answer answer = ask('r');
    if (answer.error != 0)
        return refused("The reader cannot be started", answer.error);
    return Reader{std::move(answer.fds[0]), std::move(answer.fds[1])};
}

Result<UniqueFd> Steward::known_hosts() {
    const Answer answer = ask('k');
    UniqueFd copy(memfd_create("known_hosts", MFD_CLOEXEC));
    if (answer.error != 0 || !copy)
        return refused("The known host keys cannot be read", answer.error);
    std::array<char, 16384> piece{};
    for (std::size_t total = 0; answer.fds[0] && total < most_known_hosts;) {
        const ssize_t count = read(answer.fds[0].get(), piece.data(), piece.size());
        if (count <= 0)
            break;
        total += static_cast<std::size_t>(count);
        if (write(copy.get(), piece.data(), static_cast<std::size_t>(count)) != count)
            return refused("The known host keys cannot be copied", errno);
    }
    return copy;
}

Result<void> Steward::remember_host(std::string_view line) {
    const Answer answer = ask('a', line);
    return answer.error == 0 ? Result<void>()
                             : refused("The host key cannot be remembered", answer.error);
}

} // namespace lom::media
