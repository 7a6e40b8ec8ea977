#include "sp/service/web_door.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "base/random_text.h"
#include "sp/service/ssh_door.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace json = boost::json;

namespace lom {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int listener_number = 3;
constexpr int pem_number = 4;
constexpr int ticket_number = 5;
constexpr int ui_number = 6;

// A lom-web that dies at once is not started more often than this.
constexpr auto calm = 500ms;
// A change asked for through the web is answered through it before it starts anew.
constexpr auto answer_time = 300ms;
constexpr auto retire_limit = 5s;

/// In constant time; an empty secret is nobody's.
bool same_secret(const std::string& given, const std::string& secret) {
    if (secret.empty() || given.size() != secret.size())
        return false;
    unsigned different = 0;
    for (std::size_t i = 0; i < given.size(); ++i)
        different |= static_cast<unsigned char>(given[i] ^ secret[i]);
    return different == 0;
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

struct WebDoor::Retired {
    ProcessId process;
    std::string ticket; ///< whoever logs in at this moment may still be its guest
    Loop::Handle exit;
    Loop::Handle limit;
};

WebDoor::WebDoor(Loop& loop, Paths paths, Settings& store, Log& events)
    : loop_(loop), paths_(std::move(paths)), events_(events),
      state_(store, "sp/https/servicestate", Switch::enabled),
      port_setting_(store, "sp/https/port", 0),
      session_minutes_(store, "sp/https/sessiontimeout", 15),
      certificate_(loop, paths_, [this] { restart_soon(); }) {}

WebDoor::~WebDoor() {
    exit_watch_.reset();
    end_web();
}

Result<void> WebDoor::open(Start start) {
    start_ = std::move(start);
    if (access((paths_.programs + "/lom-web").c_str(), X_OK) != 0) {
        events_.append("System", "Fault", "minor",
                       "No HTTPS: there is no program lom-web in " + paths_.programs + ".");
        return {};
    }
    if (const auto made = certificate_.make(start_.hostname, start_.address); !made)
        return made.fault();
    certificate_.inspect_current();
    const auto wanted = static_cast<std::uint16_t>(*port_setting_);
    if (*state_ == Switch::disabled) {
        end_web();
        return {};
    }
    if (adopt())
        return {};
    return listen(wanted != 0 ? wanted : start_.port);
}

bool WebDoor::is_ticket(const std::string& ticket) const {
    return same_secret(ticket, ticket_) ||
           std::any_of(retired_.begin(), retired_.end(),
                       [&](const auto& one) { return same_secret(ticket, one->ticket); });
}

// -- lom-web's life

/// The lom-web of the last lomd, if it still runs and is what we would start ourselves.
bool WebDoor::adopt() {
    const auto text = read_file(record_path());
    boost::system::error_code error;
    const json::value record = text ? json::parse(*text, error) : json::value();
    if (error || !record.is_object())
        return false;
    const json::object& object = record.get_object();
    web_ = {fields::number<pid_t>(object, "pid"),
            fields::number<std::uint64_t>(object, "start_time")};
    if (web_.pid <= 0 || !is_alive(web_)) {
        web_ = {};
        return false;
    }
    port_ = fields::number<std::uint16_t>(object, "port");
    const auto wanted = *port_setting_ != 0 ? *port_setting_ : std::int64_t{start_.port};
    if (fields::text(object, "version") != LOM_VERSION ||
        fields::text(object, "address") != start_.address || (wanted != 0 && wanted != port_)) {
        end_web();
        return false;
    }
    ticket_ = fields::text(object, "ticket");
    listening_ = true;
    exit_watch_ = loop_.on_exit(web_.pid, [this](int) { on_web_exit(); });
    return true;
}

Result<void> WebDoor::listen(std::uint16_t port) {
    auto fd = listen_tcp(start_.address, port != 0 ? port : start_.preferred);
    if (!fd && port == 0)
        fd = listen_tcp(start_.address, 0);
    if (!fd)
        return fd.fault();
    listener_ = std::move(*fd);
    port_ = port_of(listener_.get());
    listening_ = true;
    return spawn_web();
}

Result<void> WebDoor::spawn_web() {
    const UniqueFd pem = certificate_.pem();
    const UniqueFd run_dir(::open(paths_.run_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd programs(::open(paths_.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd ui(::open((paths_.programs + "/ui").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    ticket_ = random_ticket();
    const auto ticket = pipe_with(ticket_);
    if (!pem || !run_dir || !programs || !ticket)
        return Fault{FaultKind::internal, "lom-web cannot be started: too many open files, or " +
                                              paths_.state_dir + " cannot be read."};
    SpawnOptions options;
    options.argv = {"lom-web",
                    "--listen-fd",
                    std::to_string(listener_number),
                    "--pem-fd",
                    std::to_string(pem_number),
                    "--ticket-fd",
                    std::to_string(ticket_number),
                    "--session-minutes",
                    std::to_string(*session_minutes_)};
    options.program_folder = programs.get();
    options.working_folder = run_dir.get();
    options.fds = {{listener_.get(), listener_number},
                   {pem.get(), pem_number},
                   {ticket->get(), ticket_number}};
    if (ui) {
        options.argv.insert(options.argv.end(), {"--ui-fd", std::to_string(ui_number)});
        options.fds.emplace_back(ui.get(), ui_number);
    }
    run_as_nobody(options);
    const auto process = spawn(options);
    if (!process)
        return process.fault();
    web_ = *process;
    started_ = Clock::now();
    exit_watch_ = loop_.on_exit(web_.pid, [this](int) { on_web_exit(); });
    write_record();
    return {};
}

void WebDoor::write_record() const {
    (void)replace_file(record_path(),
                       json::serialize(json::object{{"pid", web_.pid},
                                                    {"start_time", web_.start_time},
                                                    {"port", port_},
                                                    {"address", start_.address},
                                                    {"ticket", ticket_},
                                                    {"version", LOM_VERSION}}),
                       0600);
}

void WebDoor::on_web_exit() {
    web_ = {};
    exit_watch_.reset();
    if (!listening_)
        return;
    const auto again = [this] {
        // An adopted one had the only socket; its port is ours again.
        const auto done = listener_ ? spawn_web() : listen(port_);
        if (!done) {
            events_.append("System", "Fault", "major", "No HTTPS: " + done.fault().message);
            again_ = loop_.after(calm, [this] { on_web_exit(); });
        }
    };
    if (Clock::now() - started_ > calm)
        return again();
    again_ = loop_.after(calm, again);
}

/// Takes up what changed; whoever is logged in stays so.
void WebDoor::restart_soon() {
    again_ = loop_.after(answer_time, [this] {
        retire_web();
        if (*state_ == Switch::disabled)
            return;
        const auto wanted = static_cast<std::uint16_t>(*port_setting_);
        const bool same = listener_ && (wanted == 0 || wanted == port_);
        const auto done = same ? spawn_web() : listen(wanted != 0 ? wanted : port_);
        listening_ = true;
        if (!done) {
            events_.append("System", "Fault", "major", "No HTTPS: " + done.fault().message);
            again_ = loop_.after(calm, [this] { on_web_exit(); });
        }
    });
}

/// Lets it finish what it was asked; its successor takes new connections meanwhile.
void WebDoor::retire_web() {
    exit_watch_.reset();
    listening_ = false;
    if (*state_ == Switch::disabled)
        listener_.reset();
    if (web_.pid <= 0)
        return;
    auto retired = std::make_shared<Retired>();
    retired->process = std::exchange(web_, {});
    retired->ticket = std::exchange(ticket_, "");
    send_signal(retired->process, SIGTERM);
    retired->exit = loop_.on_exit(retired->process.pid, [this, weak = std::weak_ptr(retired)](int) {
        std::erase(retired_, weak.lock());
    });
    retired->limit = loop_.after(retire_limit, [weak = std::weak_ptr(retired)] {
        if (const auto late = weak.lock())
            send_signal(late->process, SIGKILL);
    });
    retired_.push_back(std::move(retired));
    unlink(record_path().c_str());
}

void WebDoor::end_web() {
    exit_watch_.reset();
    listening_ = false;
    if (web_.pid > 0) {
        send_signal(web_, SIGKILL);
        if (waitpid(web_.pid, nullptr, 0) < 0) { // an adopted one is not ours to reap
            const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, web_.pid, 0)));
            pollfd entry{process.get(), POLLIN, 0};
            poll(&entry, process ? 1 : 0, process ? 1000 : 0); // killed: gone within a moment
        }
    }
    web_ = {};
    unlink(record_path().c_str());
}

// -- what the tree sets

Result<void> WebDoor::set_service_state(Switch state) {
    const bool same = *state_ == state;
    if (const auto stored = state_.set(state); !stored)
        return stored;
    if (!same)
        restart_soon();
    return {};
}

Result<void> WebDoor::set_port(std::int64_t port) {
    if (port < 1 || port > 65535)
        return Fault{FaultKind::invalid_value, "A port is 1 to 65535."};
    if (port == wanted_port())
        return {};
    auto fd = listen_tcp(start_.address, static_cast<std::uint16_t>(port)); // before it is promised
    if (!fd)
        return fd.fault();
    if (const auto stored = port_setting_.set(port); !stored)
        return stored;
    listener_ = std::move(*fd);
    port_ = static_cast<std::uint16_t>(port);
    restart_soon();
    return {};
}

Result<void> WebDoor::set_session_minutes(std::int64_t minutes) {
    if (minutes < 1 || minutes > 720)
        return Fault{FaultKind::invalid_value, "The time-out is 1 to 720 minutes."};
    const auto stored = session_minutes_.set(minutes);
    if (stored)
        restart_soon();
    return stored;
}

} // namespace lom
