#include "sp/service/ssh_door.h"

#include "base/files.h"
#include "base/passed_fds.h"
#include "base/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr const char* key_types[] = {"ed25519", "rsa"}; // as clients should prefer them

// Descriptors of the waiting lom-ssh.
constexpr int guests_fd = 3;
// The folder of the programs: nobody may run what lies in it though not pass the folders above.
constexpr int programs_fd = 4;
constexpr int first_key_fd = 5;

std::string address_of(const sockaddr_storage& address, socklen_t size) {
    std::array<char, NI_MAXHOST> host{};
    if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(),
                    nullptr, 0, NI_NUMERICHOST) != 0)
        return "unknown";
    return host.data();
}

/// One message: where the connection comes from, with the connection and its way to lomd.
bool hand_over(int helper, const std::string& source, int connection, int control) {
    return send_with_fds(helper, source, std::array{connection, control}) >= 0;
}

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
        bind(fd.get(), found->ai_addr, found->ai_addrlen) == 0 && ::listen(fd.get(), 1024) == 0;
    const int error = errno;
    freeaddrinfo(found);
    if (!listening)
        return Fault{FaultKind::unavailable, "Cannot listen on " + address + " port " +
                                                 std::to_string(port) + ": " +
                                                 std::strerror(error)};
    return fd;
}

SshDoor::SshDoor(Loop& loop, Paths paths, std::function<void()> moved)
    : loop_(loop), paths_(std::move(paths)), moved_(std::move(moved)),
      lobby_(loop, {}, [this](std::uint64_t id, int socket, const std::string& source) {
          return serve(id, socket, source);
      }) {}

// -- keys

std::string SshDoor::key_path(const std::string& type) const {
    return paths_.state_dir + "/ssh_host_" + type + "_key";
}

Result<ProcessId> SshDoor::start_key_maker(const std::string& type, const std::string& path) const {
    return spawn(
        {.argv = {paths_.programs + "/lom-ssh", "--generate-host-key", path, "--key-type", type},
         .new_session = false});
}

/// Also the public half of a key that an earlier version made.
Result<void> SshDoor::make_first_key() const {
    const std::string path = key_path(key_types[0]);
    if (access((path + ".pub").c_str(), F_OK) == 0)
        return {};
    const auto process = start_key_maker(key_types[0], path);
    if (!process)
        return process.fault();
    int status = 0;
    waitpid(process->pid, &status, 0); // once, before the loop runs
    if (status != 0)
        return Fault{FaultKind::internal, "The SSH host key cannot be made at " + path + "."};
    return {};
}

std::vector<SshDoor::HostKey> SshDoor::host_keys() const {
    std::vector<HostKey> keys;
    for (const char* type : key_types)
        if (const auto text = read_file(key_path(type) + ".pub"))
            if (auto key = SshPublicKey::parse(*text))
                keys.push_back({type, std::move(*key)});
    return keys;
}

void SshDoor::generate_key(const std::string& type, std::function<void(Result<void>)> done) {
    if (key_maker_)
        return done(Fault{FaultKind::busy, "A host key is being made; try again soon."});
    const std::string fresh = key_path(type) + ".new";
    for (const std::string& left : {fresh, fresh + ".pub"})
        unlink(left.c_str());
    const auto process = start_key_maker(type, fresh);
    if (!process)
        return done(process.fault());
    key_maker_ = loop_.on_exit(process->pid, [this, type, fresh, done](int status) {
        const std::string path = key_path(type);
        const bool made = status == 0 && rename(fresh.c_str(), path.c_str()) == 0 &&
                          rename((fresh + ".pub").c_str(), (path + ".pub").c_str()) == 0;
        const auto keep = std::exchange(key_maker_, nullptr);
        done(made ? start_helper() : Fault{FaultKind::internal, "The key cannot be made."});
    });
}

// -- the listener

Result<void> SshDoor::listen(control::Server& server, const std::string& address,
                             std::uint16_t port, std::uint16_t preferred, bool enabled) {
    server_ = &server;
    address_ = address;
    if (const auto made = make_first_key(); !made)
        return made.fault();
    if (const auto started = start_helper(); !started)
        return started.fault();
    auto opened = open(port == 0 ? preferred : port);
    if (!opened && port == 0 && preferred != 0)
        opened = open(0);
    if (opened && !enabled)
        return enable(false);
    return opened;
}

Result<void> SshDoor::open(std::uint16_t port) {
    auto listener = listen_tcp(address_, port);
    if (!listener)
        return listener.fault();
    accept_watch_.reset();
    pause_.reset();
    listener_ = std::move(*listener);
    port_ = port_of(listener_.get());
    accept_watch_ = loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
    return {};
}

Result<void> SshDoor::move_to(std::uint16_t port) {
    if (port == port_)
        return {};
    if (!listener_) { // disabled: tried when it is enabled
        port_ = port;
        return {};
    }
    const auto opened = open(port);
    if (opened)
        moved_();
    return opened;
}

Result<void> SshDoor::enable(bool on) {
    if (on == static_cast<bool>(listener_))
        return {};
    if (on)
        return open(port_);
    accept_watch_.reset();
    pause_.reset();
    listener_.reset();
    return {};
}

Result<void> SshDoor::restart() { return start_helper(); }

void SshDoor::accept() {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    UniqueFd connection(
        accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC));
    if (connection)
        return lobby_.arrived(std::move(connection), address_of(address, size));
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return;
    accept_watch_.reset(); // it stays readable: do not spin
    pause_ = loop_.after(200ms, [this] {
        accept_watch_ = loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
    });
}

// -- lom-ssh

bool SshDoor::serve(std::uint64_t id, int connection, const std::string& source) {
    auto control = server_->door_descriptor(
        {source, [this, id] { lobby_.logged_in(id); }, [this, id] { lobby_.left(id); }});
    return control && hand_over(helper_.get(), source, connection, control->get());
}

/// A new one, with the keys that there are now; what an earlier one serves goes on.
Result<void> SshDoor::start_helper() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const UniqueFd run_dir(::open(paths_.run_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd programs(::open(paths_.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    SpawnOptions options;
    options.argv = {"lom-ssh", "--guests-fd", std::to_string(guests_fd), "--programs-fd",
                    std::to_string(programs_fd)};
    options.fds = {{theirs.get(), guests_fd}, {programs.get(), programs_fd}};
    std::vector<UniqueFd> keys;
    for (const char* type : key_types) {
        UniqueFd key(::open(key_path(type).c_str(), O_RDONLY | O_CLOEXEC));
        if (!key)
            continue;
        const int number = first_key_fd + static_cast<int>(keys.size());
        options.argv.insert(options.argv.end(), {"--host-key-fd", std::to_string(number)});
        options.fds.emplace_back(key.get(), number);
        keys.push_back(std::move(key));
    }
    options.program_folder = programs.get();
    // The working folder is the run folder, for the same reason: lom-ssh and lom resume there.
    options.working_folder = run_dir.get();
    run_as_nobody(options);
    const auto process = spawn(options);
    if (!process)
        return process.fault();
    helper_ = std::move(ours);
    helper_exit_ = loop_.on_exit(process->pid, [this](int) { helper_ended(); });
    return {};
}

// It steps down when one of its children crashed, so that nobody learns its addresses by trying.
void SshDoor::helper_ended() {
    pause_helper_ = loop_.after(100ms, [this] {
        if (!start_helper())
            helper_ended();
    });
}

} // namespace lom
