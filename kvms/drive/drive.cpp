#include "kvms/drive/drive.h"

#include "base/files.h"
#include "base/json_fields.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <ctime>
#include <functional>
#include <sstream>

namespace json = boost::json;

namespace lom::kvms {

using namespace std::chrono_literals;

namespace {

using namespace fields;

constexpr std::size_t longest_line = 64U << 10U;
constexpr std::uint16_t ssh_port = 22;
constexpr auto connect_pause = 50ms;
constexpr auto connect_limit = 10s;
constexpr auto kill_after = 5s;
constexpr auto restart_after = 2s;      // when lom-media itself died
constexpr auto straggler_limit = 500ms; // from being started to listening
constexpr auto straggler_pause = 10ms;

} // namespace

Drive::Drive(Loop& loop, DrivePaths paths, std::function<void()> changed)
    : loop_(loop), paths_(std::move(paths)), changed_(std::move(changed)),
      image_file_(paths_.folder + "/image.iso") {}

Drive::~Drive() = default;

void Drive::open(const std::string& uri, const ImageCredentials& credentials,
                 const DriveSettings& settings) {
    uri_ = uri;
    credentials_ = credentials;
    settings_ = settings;
    if (process_)
        end(*process_);
    else if (!ending_)
        return take_over();
    start();
}

void Drive::close() {
    uri_.clear();
    credentials_ = {};
    retry_.reset();
    limit_timer_.reset();
    away_since_ = 0;
    if (process_ && control_) // what is still read is not to be waited for
        control_->send("{\"command\":\"eject\"}\n");
    if (process_)
        end(*process_);
    else if (!ending_)
        take_over();
    set_status("disabled", "");
}

Result<UniqueFd> Drive::connect_feed() const {
    if (!process_ || !control_)
        return Fault{FaultKind::unavailable, "The image reader is being started; try again."};
    return connect_unix(paths_.folder + "/feed.sock");
}

Result<void> Drive::forget_host_key(std::string host, std::uint16_t port) {
    const auto known = read_file(paths_.known_hosts);
    if (!known)
        return {}; // nothing is remembered
    // As libssh writes it: in lower case, with brackets where the port is not SSH's own.
    for (char& c : host)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::string name =
        (port == ssh_port ? host : "[" + host + "]:" + std::to_string(port)) + " ";
    std::istringstream lines(*known);
    std::string line, kept;
    while (std::getline(lines, line))
        if (!line.starts_with(name))
            kept += line + "\n";
    return write_file_durably(paths_.known_hosts, kept, 0600);
}

/// Tells two sets of credentials apart without writing them down.
std::string Drive::fingerprint() const {
    std::string all = uri_ + '\n' + credentials_.username + '\n' + credentials_.password + '\n' +
                      credentials_.ssh_key + '\n' + settings_.tls_ca + '\n' + settings_.tls_pin;
    for (const std::string& option : settings_.options)
        all += '\n' + option;
    return std::to_string(std::hash<std::string>{}(all));
}

Drive::Record Drive::load_record() const {
    const auto file = read_file(paths_.record);
    boost::system::error_code error;
    const json::value value = file ? json::parse(*file, error) : json::value();
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return {};
    return {{number<pid_t>(*object, "pid"), number<std::uint64_t>(*object, "start_time")},
            text(*object, "serves"),
            true};
}

void Drive::save_record(const ProcessId& process) const {
    (void)write_file_durably(paths_.record,
                             json::serialize(json::object{{"pid", process.pid},
                                                          {"start_time", process.start_time},
                                                          {"serves", fingerprint()}}),
                             0600);
}

/// Whoever listens at the control socket is the drive's lom-media, recorded or not. The last lomd
/// may have been killed between starting it and noting its number.
void Drive::take_over() {
    const Record record = load_record();
    const auto running = is_alive(record.process) ? std::optional(record.process)
                                                  : listener_at(paths_.folder + "/control.sock");
    if (running)
        return take_over(*running, record.serves);
    const bool maybe_on_its_way = record.found && record.process.pid == 0;
    const auto now = std::chrono::steady_clock::now();
    if (maybe_on_its_way && straggler_deadline_ == std::chrono::steady_clock::time_point())
        straggler_deadline_ = now + straggler_limit;
    if (maybe_on_its_way && now < straggler_deadline_) {
        if (wanted())
            set_status("starting", "Looking for a running image reader.");
        retry_ = loop_.after(straggler_pause, [this] { take_over(); });
        return;
    }
    retry_.reset();
    if (wanted())
        start();
}

void Drive::take_over(const ProcessId& running, const std::string& serves) {
    retry_.reset();
    if (!wanted() || serves != fingerprint()) {
        end(running);
        if (wanted())
            start();
        return;
    }
    process_ = running;
    adopted_ = true;
    save_record(running);
    set_status("starting", "Taking over the running image reader.");
    watch_process();
    connect_control();
}

void Drive::start() {
    retry_.reset();
    if (ending_) { // its successor mounts over the same file
        set_status("starting", "Waiting for the previous image reader to end.");
        return;
    }
    adopted_ = false;
    set_status("starting", "Starting the image reader.");
    (void)make_directories(paths_.folder, 0755);
    const int existing = ::open(image_file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (existing >= 0)
        ::close(existing);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return set_status("failed", "Too many open files.");
    UniqueFd credentials_read(ends[0]);
    UniqueFd credentials_write(ends[1]);
    const std::string secret = json::serialize(json::object{{"username", credentials_.username},
                                                            {"password", credentials_.password},
                                                            {"ssh_key", credentials_.ssh_key}});
    // Below the pipe's capacity of 64 KiB, so that writing here cannot block.
    if (secret.size() > (60U << 10U) ||
        write(credentials_write.get(), secret.data(), secret.size()) < 0)
        return set_status("failed", "The credentials are too long.");
    credentials_write.reset();
    SpawnOptions options;
    const auto written = settings_.tls_ca.empty()
                             ? Result<void>()
                             : replace_file(authorities_file(), settings_.tls_ca, 0600);
    if (!written)
        return set_status("failed", written.fault().message);
    options.argv = arguments();
    options.fds = {{credentials_read.get(), 3}};
    options.stderr_path = paths_.log;
    // For its steward: to mount, to become nobody, and NFS servers ask for a low port.
    options.capabilities = {CAP_CHOWN, CAP_NET_BIND_SERVICE, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN};
    save_record({}); // before: so that our successor looks for it in any case
    const auto process = spawn(options);
    if (!process)
        return set_status("failed", process.fault().message);
    process_ = *process;
    save_record(*process);
    watch_process();
    connect_control();
}

std::string Drive::authorities_file() const { return paths_.folder + "/tls_ca.pem"; }

std::vector<std::string> Drive::arguments() const {
    std::vector<std::string> argv{paths_.program,
                                  uri_,
                                  image_file_,
                                  "--credentials-fd",
                                  "3",
                                  "--known-hosts",
                                  paths_.known_hosts,
                                  "--control",
                                  paths_.folder + "/control.sock",
                                  "--feed",
                                  paths_.folder + "/feed.sock",
                                  "--hold",
                                  paths_.folder + "/hold",
                                  "--cache-size",
                                  std::to_string(settings_.cache_bytes)};
    if (settings_.disk_cache_bytes > 0 && make_directories(paths_.disk_cache, 0700))
        argv.insert(argv.end(), {"--cache-dir", paths_.disk_cache, "--cache-dir-size",
                                 std::to_string(settings_.disk_cache_bytes)});
    if (!settings_.tls_ca.empty())
        argv.insert(argv.end(), {"--tls-ca", authorities_file()});
    if (!settings_.tls_pin.empty())
        argv.insert(argv.end(), {"--tls-pin", settings_.tls_pin});
    argv.insert(argv.end(), settings_.options.begin(), settings_.options.end());
    return argv;
}

void Drive::watch_process() {
    exit_watch_ = loop_.on_exit(process_->pid, [this](int) {
        process_.reset();
        control_.reset();
        connect_timer_.reset();
        exit_watch_.reset();
        if (!wanted())
            return;
        set_status("failed", "The image reader ended unexpectedly; it is started again.");
        retry_ = loop_.after(restart_after, [this] { start(); });
    });
}

void Drive::connect_control() {
    if (connect_deadline_ == std::chrono::steady_clock::time_point())
        connect_deadline_ = std::chrono::steady_clock::now() + connect_limit;
    auto socket = connect_unix(paths_.folder + "/control.sock");
    if (!socket) { // not listening yet; its exit would be noticed
        if (std::chrono::steady_clock::now() > connect_deadline_) {
            end(*process_); // its successor is started when it is gone
            return set_status("starting", "The image reader did not answer; it is started again.");
        }
        connect_timer_ = loop_.after(connect_pause, [this] { connect_control(); });
        return;
    }
    connect_deadline_ = {};
    line_.clear();
    told_.reset();
    control_ = std::make_unique<Stream>(
        loop_, std::move(*socket),
        Stream::Handlers{[this](std::string_view bytes, std::vector<UniqueFd>) {
                             for (const char c : bytes) {
                                 if (c == '\n')
                                     on_line(std::exchange(line_, {}));
                                 else if (line_.size() < longest_line)
                                     line_ += c;
                             }
                         },
                         [this](const std::string&) {
                             control_.reset();
                             connect_timer_ = loop_.after(connect_pause, [this] {
                                 if (process_)
                                     connect_control();
                             });
                         }});
    follow_policy();
}

void Drive::on_line(const std::string& line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return;
    status_.status = text(*object, "status");
    status_.detail = text(*object, "detail");
    status_.size = number<std::uint64_t>(*object, "size");
    status_.bytes_read = number<std::uint64_t>(*object, "bytes_read");
    status_.rate = number<std::uint64_t>(*object, "rate");
    status_.latency = number<std::uint64_t>(*object, "latency");
    status_.cache_hits = number<std::uint64_t>(*object, "cache_hits");
    status_.fill = number<std::uint64_t>(*object, "fill");
    status_.confinement = text(*object, "confinement");
    status_.volume_id = text(*object, "volume_id");
    status_.host_key_fingerprint = text(*object, "host_key_fingerprint");
    status_.identity = text(*object, "identity");
    status_.last_error = text(*object, "last_error");
    status_.since = number<std::int64_t>(*object, "since");
    status_.tries = number<std::uint64_t>(*object, "tries");
    status_.holding = flag(*object, "holding");
    note_outage();
    changed_();
}

void Drive::end(const ProcessId& process) {
    if (control_)
        control_->send("{\"command\":\"stop\"}\n"); // fails its pending reads first
    send_signal(process, SIGTERM);
    control_.reset();
    connect_timer_.reset();
    connect_deadline_ = {};
    exit_watch_.reset();
    process_.reset();
    ending_ = std::make_shared<Ending>();
    ending_->kill_timer = loop_.after(kill_after, [process] { send_signal(process, SIGKILL); });
    ending_->exit_watch = loop_.on_exit(process.pid, [this](int) {
        ending_.reset();
        unlink(paths_.record.c_str());
        if (wanted())
            start();
    });
}

void Drive::set_status(const std::string& status, const std::string& detail) {
    status_ = {};
    status_.status = status;
    status_.detail = detail;
    note_outage();
    status_.since = away_since_;
    status_.holding = to_be_held();
    changed_();
}

// -- outages

void Drive::set_outage_policy(const OutagePolicy& policy) {
    policy_ = policy;
    told_.reset(); // the limit may have changed
    follow_policy();
}

/// An outage goes on while one lom-media follows the other.
void Drive::note_outage() {
    if (!wanted() || status_.operational())
        away_since_ = 0;
    else if (away_since_ == 0)
        away_since_ = status_.since != 0 ? status_.since : std::time(nullptr);
    follow_policy();
}

bool Drive::to_be_held() const {
    return policy_.wait && (policy_.limit == 0s || away_since_ == 0 ||
                            std::time(nullptr) < away_since_ + policy_.limit.count());
}

void Drive::follow_policy() {
    const bool hold = to_be_held();
    limit_timer_.reset();
    if (hold && policy_.limit > 0s && away_since_ != 0)
        limit_timer_ =
            loop_.after(1s * (away_since_ + policy_.limit.count() - std::time(nullptr)), [this] {
                follow_policy();
                if (!control_) { // lom-keep goes by its own clock
                    status_.holding = to_be_held();
                    changed_();
                }
            });
    if (!control_ || told_ == hold)
        return;
    told_ = hold;
    control_->send("{\"command\":\"" + std::string(hold ? "hold" : "report") +
                   "\",\"limit\":" + std::to_string(policy_.limit.count()) + "}\n");
}

} // namespace lom::kvms
