#include "sp/service/ssh_door.h"

#include "base/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lom {

using namespace std::chrono_literals;

namespace {

// Each is a process of some megabytes; more than this is a flood, and the backlog holds it.
constexpr std::size_t most_children = 600;
constexpr uid_t nobody = 65534;

constexpr int connection_fd = 3;
constexpr int control_fd = 4;
constexpr int host_key_fd = 5;
// The folder of the programs: nobody may run what lies in it though not pass the folders above.
constexpr int programs_fd = 6;

std::uint16_t port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    if (address.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

} // namespace

Result<UniqueFd> listen_tcp(const std::string& address, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* found = nullptr;
    if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
        return Fault{FaultKind::usage, "'" + address + "' is not an IP address to listen on."};
    UniqueFd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const bool listening =
        bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd.get(), 256) == 0;
    const int error = errno;
    freeaddrinfo(found);
    if (!listening)
        return Fault{FaultKind::unavailable, "Cannot listen on " + address + " port " +
                                                 std::to_string(port) + ": " +
                                                 std::strerror(error)};
    return fd;
}

Result<void> SshDoor::make_host_key() const {
    const std::string path = paths_.state_dir + "/ssh_host_ed25519_key";
    if (access(path.c_str(), F_OK) == 0)
        return {};
    const auto process = spawn({.argv = {paths_.programs + "/lom-ssh", "--generate-host-key", path},
                                .new_session = false});
    if (!process)
        return process.fault();
    int status = 0;
    waitpid(process->pid, &status, 0); // once, before the loop runs
    if (status != 0)
        return Fault{FaultKind::internal, "The SSH host key cannot be made at " + path + "."};
    return {};
}

Result<void> SshDoor::listen(const std::string& address, std::uint16_t port,
                             std::uint16_t preferred) {
    if (const auto made = make_host_key(); !made)
        return made.fault();
    auto listener = listen_tcp(address, port == 0 ? preferred : port);
    if (!listener && port == 0 && preferred != 0)
        listener = listen_tcp(address, 0);
    if (!listener)
        return listener.fault();
    listener_ = std::move(*listener);
    port_ = port_of(listener_.get());
    accept_watch_ = loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
    return {};
}

void SshDoor::accept() {
    if (children_.size() >= most_children) {
        accept_watch_.reset();
        pause_ = loop_.after(200ms, [this] {
            accept_watch_ =
                loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
        });
        return;
    }
    UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection)
        serve(std::move(connection));
}

void SshDoor::serve(UniqueFd connection) {
    const int on = 1;
    setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const UniqueFd key(
        ::open((paths_.state_dir + "/ssh_host_ed25519_key").c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd run_dir(::open(paths_.run_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd programs(::open(paths_.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    auto control = server_.door_descriptor();
    if (!key || !control || !run_dir || !programs)
        return;
    SpawnOptions options;
    // The working folder is the run folder, for the same reason: lom-ssh and lom resume there.
    options.argv = {"lom-ssh",
                    "--fd",
                    std::to_string(connection_fd),
                    "--control-fd",
                    std::to_string(control_fd),
                    "--host-key-fd",
                    std::to_string(host_key_fd),
                    "--programs-fd",
                    std::to_string(programs_fd)};
    options.program_folder = programs.get();
    options.working_folder = run_dir.get();
    options.fds = {{connection.get(), connection_fd},
                   {control->get(), control_fd},
                   {key.get(), host_key_fd},
                   {programs.get(), programs_fd}};
    if (geteuid() == 0) {
        options.uid = nobody;
        options.gid = nobody;
    }
    const auto child = spawn(options);
    if (child)
        children_[child->pid] =
            loop_.on_exit(child->pid, [this, pid = child->pid](int) { children_.erase(pid); });
}

} // namespace lom
