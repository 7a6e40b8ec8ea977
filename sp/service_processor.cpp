#include "sp/service_processor.h"

#include "base/files.h"
#include "base/process.h"
#include "sp/control/events.h"
#include "sp/control/server.h"
#include "sp/service/ssh_door.h"
#include "sp/service/web_door.h"
#include "sp/service/webhooks.h"
#include "sp/state/accounts.h"
#include "sp/state/database.h"
#include "sp/state/log.h"
#include "sp/state/sessions.h"
#include "sp/targets/targets.h"
#include "vmm/kvm_probe.h"

#include <linux/capability.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr auto resume_grace = 60s; // for doors that come back after lomd was away

/// Twenty characters of 31 without look-alikes: 99 bits.
std::string random_password() {
    constexpr std::string_view letters = "abcdefghjkmnpqrstuvwxyz23456789";
    std::string password;
    while (password.size() < 20) {
        unsigned char byte = 0;
        if (getrandom(&byte, 1, 0) == 1 && byte < 8 * letters.size())
            password += letters[byte % letters.size()];
    }
    return password;
}

/// One lomd per state folder; the lock goes with the process, however it ends.
Result<UniqueFd> lock_state(const std::string& state_dir) {
    UniqueFd lock(open((state_dir + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock)
        return Fault{FaultKind::internal, "Cannot open " + state_dir + "/lock; is it writable?"};
    if (flock(lock.get(), LOCK_EX | LOCK_NB) < 0)
        return Fault{FaultKind::busy, "Another lomd runs on the state folder " + state_dir +
                                          "; stop it, or give another --state-dir."};
    return lock;
}

// QEMU's own user: one number per host from a range that Debian gives to nobody.
constexpr uid_t first_qemu_uid = 61440;
// Who puts images into the library, and the group of those who may read them.
constexpr uid_t library_account = first_qemu_uid - 1;

/// Whether any user may pass through all folders down to `path`.
bool others_can_enter(const std::string& path) {
    for (std::size_t slash = 1; slash != std::string::npos;) {
        slash = path.find('/', slash);
        struct stat folder {};
        if (stat(path.substr(0, slash).c_str(), &folder) < 0 || (folder.st_mode & S_IXOTH) == 0)
            return false;
        slash += slash == std::string::npos ? 0 : 1;
    }
    return true;
}

/// The port that an earlier lomd chose for a door, so that port 0 keeps it over restarts.
std::uint16_t port_of_last_run(const std::string& path, const std::string& door) {
    const auto text = read_file(path);
    const std::string key = "\"" + door + "\":";
    const std::size_t at = text ? text->find(key) : std::string::npos;
    if (at == std::string::npos)
        return 0;
    return static_cast<std::uint16_t>(
        std::clamp(std::atoi(text->c_str() + at + key.size()), 0, 65535));
}

std::vector<std::string> targets_of(ManagedHost::Part part) {
    switch (part) {
    case ManagedHost::Part::host:
        return {"/HOST", "/SYS", "/System"};
    case ManagedHost::Part::drive: {
        std::vector<std::string> targets;
        for (const MediaDevice& device : media_devices)
            targets.push_back(std::string("/SP/services/kvms/") + device.target);
        return targets;
    }
    case ManagedHost::Part::console:
        return {"/HOST/console"};
    case ManagedHost::Part::screen:
        return {"/HOST/screen"};
    }
    return {};
}

} // namespace

struct ServiceProcessor::Impl {
    Impl(Loop& loop_in, ServiceOptions options_in) : loop(loop_in), options(std::move(options_in)) {
        options.paths.listen_address = options.listen;
    }

    Result<void> start() {
        const std::array steps{&Impl::prepare_folders, &Impl::open_state, &Impl::first_account,
                               &Impl::open_hosts, &Impl::open_doors};
        for (const auto step : steps)
            if (const auto done = (this->*step)(); !done)
                return done.fault();
        events->append("System", "Log", "info", "The service processor has started.");
        return {};
    }

    Result<void> prepare_folders() {
        for (const std::string& path : {options.paths.state_dir, options.paths.run_dir})
            if (const auto made = make_directories(path, 0755); !made)
                return made.fault();
        chmod(options.paths.state_dir.c_str(), 0711); // QEMU's own user passes through, no more
        auto locked = lock_state(options.paths.state_dir);
        if (!locked)
            return locked.fault();
        lock = std::move(*locked);
        return {};
    }

    Result<void> open_state() {
        auto opened = Database::open(options.paths.state_dir + "/openlom.db");
        if (!opened)
            return opened.fault();
        database = std::move(*opened);
        events.emplace(*database, "event");
        audit.emplace(*database, "audit");
        accounts.emplace(loop, *database);
        sessions.emplace(loop, *database, resume_grace);
        settings.emplace(*database);
        doors.emplace(*database);
        image_policy.emplace(*database);
        return {};
    }

    /// root, with a password of the administrator's or a generated one; never a fixed one.
    Result<void> first_account() {
        if (!accounts->list().empty())
            return {};
        std::string password = random_password();
        if (!options.initial_password_file.empty()) {
            auto given = read_file(options.initial_password_file);
            if (!given)
                return given.fault();
            given->erase(std::find(given->begin(), given->end(), '\n'), given->end());
            password = *given;
        }
        std::optional<Result<void>> created;
        const Roles roles = *Roles::parse("aucro");
        accounts->create("root", roles, password, [&](Result<void> r) { created = std::move(r); });
        (void)loop.run_until([&] { return created.has_value(); }, 30s);
        if (!created || !*created)
            return created ? created->fault() : Fault{FaultKind::internal, "Hashing hangs."};
        if (options.initial_password_file.empty())
            options.announce_password(password);
        return {};
    }

    Result<void> open_hosts() {
        const auto probe = vmm::probe_kvm();
        acceleration_reason = std::string(probe.usable ? "KVM: " : "TCG: ") + probe.reason +
                              (probe.remedy.empty() ? "" : " " + probe.remedy);
        vmm::HostDefinition definition;
        definition.name = "host0";
        definition.disks = {{"disk0", std::uint64_t{16} << 30U}}; // grows with what is written
        definition.nics = {{"net0", ""}};
        vmm::HostEnvironment environment;
        environment.dir = options.paths.host_state(definition.name);
        environment.run_dir = options.paths.host_run(definition.name);
        environment.acceleration = probe.usable ? vmm::Acceleration::kvm : vmm::Acceleration::tcg;
        for (const std::string& path : {environment.dir, environment.run_dir})
            if (const auto made = make_directories(path, 0711); !made)
                return made.fault();
        environment.qemu_uid = qemu_uid();
        if (const auto opened = open_library(environment); !opened)
            return opened;
        versions = vmm::read_versions(loop, environment.qemu);
        auto opened = ManagedHost::open(loop, options.paths, *database, *events, *images,
                                        *image_policy, environment, definition);
        if (!opened)
            return opened.fault();
        host = std::move(*opened);
        sessions->on_end([this](std::int64_t id) { host->end_session(std::to_string(id)); });
        accounts->on_roles([this](const std::string& name, Roles roles) {
            for (const Session& session : sessions->list())
                if (session.account == name)
                    host->follow_roles(std::to_string(session.id), roles);
        });
        return {};
    }

    Result<void> open_library(vmm::HostEnvironment& environment) {
        kvms::LibraryPlace place{options.paths.state_dir + "/media",
                                 options.paths.state_dir + "/media.json", std::nullopt};
        if (environment.qemu_uid) {
            place.account = library_account;
            environment.qemu_groups = {library_account};
        }
        images.emplace(loop, std::move(place), [this] {
            changes.target_changed("/SP/media");
            if (host)
                host->on_library_changed();
        });
        return images->open();
    }

    std::optional<uid_t> qemu_uid() {
        for (const int needed : {CAP_SETUID, CAP_SETGID, CAP_CHOWN})
            if (!has_capability(needed))
                return std::nullopt;
        for (const std::string& path : {options.paths.state_dir, options.paths.run_dir})
            if (!others_can_enter(path)) {
                events->append(
                    "System", "Log", "minor",
                    "QEMU runs under lomd's user, because other users cannot pass through the "
                    "folders above " +
                        path + "; put it where they can (mode 711).");
                return std::nullopt;
            }
        return first_qemu_uid;
    }

    Result<void> open_doors() {
        ssh.emplace(loop, options.paths, [this] { (void)write_ports(); });
        web.emplace(loop, options.paths, *database, *events);
        webhooks.emplace(loop, options.paths, *database, changes);
        transfers.emplace(loop, options.paths, *image_policy);
        library.emplace(loop, options.paths, *images, *transfers, *database, *events,
                        [this] { changes.target_changed("/SP/media"); });
        tree.emplace(
            build_root({loop, *settings, *accounts, *sessions, *doors, *ssh, *events, *audit, *host,
                        *library, versions, *web, *webhooks, *transfers, *image_policy,
                        acceleration_reason, options.listen, options.restart,
                        [this](const AuditRecord& record) { write_audit(record); }}),
            [this](const AuditRecord& record) { write_audit(record); });
        sessions->on_end([this](std::int64_t id) { library->uploads().drop(std::to_string(id)); });
        follow_changes();
        server.emplace(control::Server::Context{
            loop, *tree, *accounts, *sessions, [this] { return settings->current_hostname(); },
            *doors,
            [this](const Caller& caller, const Accounts::Verdict& verdict) {
                audit_login(caller, verdict);
            },
            changes, [this](const std::string& ticket) { return web->is_ticket(ticket); }});
        if (const auto listening = server->listen(options.paths.run_dir + "/control.sock");
            !listening)
            return listening.fault();
        if (const auto listening = open_ssh(); !listening)
            return listening.fault();
        if (const auto opened =
                web->open({options.listen, options.https_port,
                           port_of_last_run(ports_path(), "https"), settings->current_hostname()});
            !opened)
            return opened.fault();
        idle_watch = loop.every(5s, [this] { end_idle_sessions(); });
        return write_ports();
    }

    /// On the port that was set in the tree, else on that of the flags.
    Result<void> open_ssh() {
        const bool enabled = *doors->ssh_state == Switch::enabled;
        const auto chosen = static_cast<std::uint16_t>(*doors->ssh_port);
        if (chosen != 0) {
            const auto opened = ssh->listen(*server, options.listen, chosen, 0, enabled);
            if (opened)
                return {};
            events->append("System", "Log", "major",
                           opened.fault().message + " SSH listens on another port.");
        }
        return ssh->listen(*server, options.listen, options.ssh_port,
                           port_of_last_run(ports_path(), "ssh"), enabled);
    }

    std::string ports_path() const { return options.paths.run_dir + "/ports.json"; }
    Result<void> write_ports() {
        const std::string https =
            web->port() == 0 ? "" : ",\"https\":" + std::to_string(web->port());
        return write_file_durably(ports_path(),
                                  "{\"ssh\":" + std::to_string(ssh->port()) + https + "}\n", 0644);
    }

    void end_idle_sessions() {
        constexpr auto grace = 10s; // doors tell of activity no more often than that
        if (*doors->cli_timeout > 0)
            sessions->end_idle(std::chrono::minutes(*doors->cli_timeout) + grace);
    }

    /// Whoever asked for events hears of all that `show` would print differently.
    void follow_changes() {
        host->on_change([this](ManagedHost::Part part) {
            for (const std::string& target : targets_of(part))
                changes.target_changed(target);
        });
        const auto follow = [this](Log& log, const std::string& book) {
            log.on_append([this, book](const LogEntry& entry) {
                changes.publish({.kind = book + "_log",
                                 .target = "/SP/logs/" + book,
                                 .text = entry.text,
                                 .severity = entry.severity,
                                 .id = entry.id});
            });
        };
        follow(*events, "event");
        follow(*audit, "audit");
        sessions->on_end([this](std::int64_t) { changes.target_changed("/SP/sessions"); });
    }

    /// Somebody who guesses all day must not push everything else out of the log.
    void audit_login(const Caller& caller, const Accounts::Verdict& verdict) {
        constexpr int each = 4;
        const int count = verdict.failures;
        const bool worth = count <= each || (count & (count - 1)) == 0;
        if (!worth && verdict.reason.find("locked=false") == std::string::npos)
            return;
        Caller clean = caller;
        for (char& c : clean.account) // a stranger's text
            if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
                c = '?';
        clean.account.resize(std::min<std::size_t>(clean.account.size(), 64));
        write_audit(
            {clean, "login", verdict.account.has_value(),
             verdict.reason + (count > each ? " (" + std::to_string(count) + " in a row)" : "")});
    }

    void write_audit(const AuditRecord& record) {
        if (record.done && !record.property.empty())
            changes.publish({.kind = "property",
                             .target = record.target,
                             .property = record.property,
                             .text = record.text});
        else if (record.done && !record.target.empty())
            changes.target_changed(record.target);
        if (record.deed == "login")
            changes.target_changed("/SP/sessions");
        audit->append("Audit", "Log", record.done ? "info" : "minor",
                      record.caller.account + " from " + record.caller.source + ": " + record.deed +
                          (record.done ? "" : ": refused: " + record.reason));
    }

    Loop& loop;
    ServiceOptions options;
    control::Events changes{loop};
    UniqueFd lock;
    std::unique_ptr<Database> database;
    std::optional<Log> events;
    std::optional<Log> audit;
    std::optional<Accounts> accounts;
    std::optional<Sessions> sessions;
    std::optional<SpSettings> settings;
    std::optional<DoorSettings> doors;
    std::optional<ImagePolicySettings> image_policy;
    std::string acceleration_reason;
    std::optional<kvms::Library> images;
    std::unique_ptr<ManagedHost> host;
    std::shared_ptr<const vmm::Versions> versions;
    std::optional<SshDoor> ssh;
    std::optional<WebDoor> web;
    std::optional<Webhooks> webhooks;
    std::optional<Transfers> transfers;
    std::optional<MediaLibrary> library;
    std::optional<Tree> tree;
    std::optional<control::Server> server;
    Loop::Handle idle_watch;
};

ServiceProcessor::ServiceProcessor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServiceProcessor::~ServiceProcessor() = default;
void ServiceProcessor::abandon() { impl_->host->abandon(); }

Result<std::unique_ptr<ServiceProcessor>> ServiceProcessor::start(Loop& loop,
                                                                  ServiceOptions options) {
    auto impl = std::make_unique<Impl>(loop, std::move(options));
    if (const auto started = impl->start(); !started)
        return started.fault();
    return std::unique_ptr<ServiceProcessor>(new ServiceProcessor(std::move(impl)));
}

std::uint16_t ServiceProcessor::ssh_port() const { return impl_->ssh->port(); }
std::uint16_t ServiceProcessor::https_port() const { return impl_->web->port(); }
const Tree& ServiceProcessor::tree() const { return *impl_->tree; }

} // namespace lom
