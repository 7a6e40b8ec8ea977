#include "sp/service/media_slot.h"

#include "sp/service/one_line.h"

#include <algorithm>
#include <ctime>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr auto settle_limit = 10s;
constexpr auto soon = 500ms;
constexpr std::string_view library_target = "/SP/media/";
constexpr const char* locked_tray =
    "The guest has locked the tray and was asked to open it (is the medium mounted?). The image "
    "stays until it does, or until 'set force_eject=true' takes it out.";

kvms::DrivePaths drive_paths(const Paths& paths, const std::string& host,
                             const MediaDevice& device) {
    const std::string name = device.folder;
    return {.program = paths.programs + "/lom-media",
            .folder = paths.host_run(host) + "/" + name,
            .record = paths.host_state(host) + "/" + name + ".json",
            .log = paths.host_state(host) + "/" + name + ".log",
            .known_hosts = paths.state_dir + "/known_hosts",
            .disk_cache = paths.state_dir + "/media-cache"};
}

} // namespace

MediaSettings::MediaSettings(Settings& store, const std::string& prefix)
    : mode(store, prefix + "mode", StorageMode::disabled),
      server_uri(store, prefix + "server_URI", ""), username(store, prefix + "username", ""),
      password(store, prefix + "password", ""), ssh_key(store, prefix + "ssh_key", ""),
      tls_ca(store, prefix + "tls_ca", ""), tls_pin(store, prefix + "tls_pin", ""),
      set_by(store, prefix + "set_by", ""), set_by_roles(store, prefix + "set_by_roles", ""),
      cache_size(store, prefix + "cache_size", std::int64_t{256} << 20U),
      disk_cache_size(store, prefix + "disk_cache_size", 0),
      writable(store, prefix + "writable", false),
      on_outage(store, prefix + "on_outage", OnOutage::wait),
      outage_timeout(store, prefix + "outage_timeout", 0),
      identity(store, prefix + "identity", "") {}

MediaSlot::MediaSlot(Loop& loop, const MediaDevice& device, const Place& place,
                     std::function<void()> changed)
    : loop_(loop), device_(device),
      settings_(place.store, "hosts/" + place.host + "/" + device.settings), events_(place.events),
      library_(place.library), policy_(place.policy),
      user_(std::string("/SP/services/kvms/") + device.target), writer_(place.writer),
      changed_(std::move(changed)),
      drive_(loop, drive_paths(place.paths, place.host, device), [this] { on_drive_changed(); }) {}

void MediaSlot::open(vmm::Host& host) {
    host_ = &host;
    follow_outage_policy();
    if (wanted().uri.empty()) { // one of an earlier lomd may still run, and be before the guest
        host_->eject(device_.drive, [](const Result<void>&) {});
        drive_.close();
    }
    follow();
}

// -- settings

std::string MediaSlot::library_name(const std::string& uri) {
    return uri.starts_with(library_target) ? uri.substr(library_target.size()) : "";
}

MediaSlot::Choice MediaSlot::wanted() const {
    if (*settings_.mode == StorageMode::disabled)
        return {};
    return {*settings_.server_uri, device_.can_write && *settings_.writable};
}

void MediaSlot::follow_outage_policy() {
    drive_.set_outage_policy(
        {*settings_.on_outage == OnOutage::wait, std::chrono::seconds(*settings_.outage_timeout)});
}

void MediaSlot::apply_soon() {
    if (!wanted().uri.empty())
        soon_ = loop_.after(soon, [this] { follow(); });
}

void MediaSlot::apply(std::function<void(const std::string&)> done) {
    auto waiter = std::make_shared<Waiter>();
    waiter->done = std::move(done);
    waiter->limit = loop_.after(settle_limit, [this, weak = std::weak_ptr(waiter)] {
        if (const auto late = weak.lock()) {
            std::erase(waiters_, late);
            late->done(waits_for());
        }
    });
    waiters_.push_back(waiter);
    follow();
}

void MediaSlot::follow() {
    soon_.reset();
    const Choice choice = wanted();
    if (!current_.uri.empty() && choice != current_)
        return leave();
    if (std::exchange(leaving_, false) || ejected_by_guest_) { // it may keep it, or have it again
        ++turn_;
        ejected_by_guest_ = false;
        return insert();
    }
    current_ = choice;
    if (!current_.uri.empty())
        served_uri_ = current_.uri;
    if (current_.uri.empty())
        on_drive_changed();
    else
        serve();
}

void MediaSlot::serve() {
    if (from_library())
        return serve_from_library();
    const std::string& authorities =
        settings_.tls_ca->empty() ? *policy_.tls_ca : *settings_.tls_ca;
    drive_.open(current_.uri,
                {*settings_.username, *settings_.password, with_newlines(*settings_.ssh_key)},
                {with_newlines(authorities), *settings_.tls_pin, policy_.options(roles_of_image()),
                 static_cast<std::uint64_t>(*settings_.cache_size),
                 static_cast<std::uint64_t>(*settings_.disk_cache_size)});
}

/// What the policy lets the image do hangs on who named it.
Roles MediaSlot::roles_of_image() const {
    const auto roles = Roles::parse(*settings_.set_by_roles);
    return roles ? *roles : Roles();
}

Result<void> MediaSlot::set_image(const std::string& uri, const std::string& account, Roles roles) {
    if (!uri.empty()) {
        const std::string name = library_name(uri);
        const auto allowed =
            name.empty() ? policy_.check(uri, roles) : kvms::Library::check_name(name);
        if (!allowed)
            return allowed.fault();
    }
    for (const auto& stored :
         {settings_.set_by_roles.set(uri.empty() ? "" : roles.letters()),
          settings_.set_by.set(uri.empty() ? "" : account), settings_.server_uri.set(uri)})
        if (!stored)
            return stored.fault();
    return {};
}

void MediaSlot::serve_from_library() {
    const auto image = library_.find(library_name(current_.uri));
    const auto claimed = image ? library_.claim(image->name, user_, current_.writable, writer_)
                               : Result<void>(image.fault());
    problem_ = claimed ? "" : claimed.fault().message;
    library_image_ = {};
    library_image_.status = image ? "failed" : "no such image";
    if (claimed) {
        library_image_.status = "operational";
        library_image_.size = image->size;
        library_image_.volume_id = image->volume_id;
    }
    last_status_.clear(); // another image is to be inserted though its status is the same
    on_drive_changed();
}

/// The guest gives back what it has; then the settings are followed anew.
void MediaSlot::leave() {
    if (!before_guest_)
        return left();
    if (!std::exchange(leaving_, true)) {
        told_locked_ = false;
        // One that cannot read it any more is not asked.
        eject(host_->held_by(device_.drive) || !image().operational());
    }
    changed_();
}

void MediaSlot::eject(bool at_once) {
    host_->eject(
        device_.drive,
        [this, turn = ++turn_](const Result<void>& done) {
            if (turn != turn_)
                return;
            if (!done)
                log_event("Fault", "minor", done.fault().message);
            left();
        },
        at_once);
}

Result<void> MediaSlot::force_eject() {
    if (!leaving_)
        return Fault{FaultKind::wrong_state,
                     "No image waits for the guest to open the tray. First choose another one, or "
                     "'set mode=disabled'."};
    eject(true);
    return {};
}

void MediaSlot::left() {
    ++turn_;
    inserted_ = before_guest_ = leaving_ = ejected_by_guest_ = false;
    problem_.clear();
    current_ = {};
    library_.release(user_);
    (void)settings_.identity.set("");
    if (drive_.wanted())
        drive_.close(); // lom-media now fails what it may still read
    follow();
}

// -- what happens

void MediaSlot::on_drive_changed() {
    changed_();
    if (host_ == nullptr)
        return;
    const auto& now = image();
    host_->wait_for_source(device_.drive, drive_.wanted() && now.holding);
    host_->set_coming(device_.drive, !on_its_way().empty());
    // Taken over first: inserting may fail at once, and then calls this again.
    const std::string before = std::exchange(last_status_, now.status);
    if (now.status != before) {
        if (now.operational() && inserted_ && !inserted_is_another())
            host_->continue_after_io_error(device_.drive); // reads wait no longer
        else if (now.operational())
            insert();
        if (!now.pending() && !(before.empty() && now.status == "disabled"))
            log_status();
    }
    outage_began_ = now.since;
    outage_tries_ = now.tries;
    const bool on_its_way = leaving_ || current_ != wanted();
    if (!on_its_way && !now.pending() && (!now.operational() || inserted_ || !problem_.empty()))
        answer_waiters();
}

void MediaSlot::answer_waiters() {
    for (const auto& waiter : std::exchange(waiters_, {}))
        waiter->done(waits_for());
}

std::string MediaSlot::waits_for() const {
    return leaving_ && host_->locked(device_.drive) ? locked_tray : "";
}

void MediaSlot::on_host_changed() {
    if (host_ == nullptr)
        return;
    const bool ejected = inserted_ && !leaving_ && host_->ejected_by_guest(device_.drive);
    if (std::exchange(ejected_by_guest_, ejected) != ejected) {
        if (ejected)
            log_event("State", "info", "The guest has ejected the image " + current_.uri + ".");
        changed_();
    }
    if (!waits_for().empty()) {
        if (!std::exchange(told_locked_, true))
            log_event("State", "info",
                      "The guest has locked the tray with the image " + current_.uri +
                          ", and is asked to open it.");
        changed_();
        answer_waiters();
    }
}

void MediaSlot::on_library_changed() {
    if (from_library() && !inserted_ && image().status == "no such image")
        apply_soon();
}

void MediaSlot::log_status() {
    const auto& now = image();
    const bool known = !std::exchange(told_, true) && drive_.adopted();
    if (now.operational() && known)
        return; // an earlier lomd said so
    std::string text = "Remote image " + served_uri_ + ": " + now.status + ".";
    if (!now.detail.empty())
        text += " " + now.detail;
    if (now.operational() && outage_began_ != 0 && inserted_)
        text += " It was away for " + std::to_string(std::time(nullptr) - outage_began_) + " s (" +
                std::to_string(outage_tries_) + (outage_tries_ == 1 ? " try)." : " tries).");
    const bool as_wished = now.operational() || now.status == "disabled";
    log_event("State", as_wished ? "info" : "minor", text);
}

void MediaSlot::log_event(const char* kind, const char* severity, const std::string& text) {
    events_.append("Media", kind, severity, text);
}

bool MediaSlot::inserted_is_another() const {
    const std::string& known = *settings_.identity;
    const std::string& now = image().identity;
    return !known.empty() && !now.empty() && known != now;
}

/// Another image than the one that the guest knows comes as another disc: it sees the tray move.
void MediaSlot::insert() {
    const unsigned turn = ++turn_;
    if (inserted_is_another()) {
        inserted_ = false;
        (void)settings_.identity.set("");
        return host_->eject(
            device_.drive,
            [this, turn](const Result<void>&) {
                if (turn == turn_)
                    insert();
            },
            true);
    }
    problem_.clear();
    before_guest_ = true;
    const std::string name = library_name(current_.uri);
    const vmm::Medium medium{.file = name.empty() ? drive_.image_file() : library_.path_of(name),
                             .writable = current_.writable && !name.empty(),
                             .local = !name.empty()};
    host_->insert(device_.drive, medium, [this, turn](const Result<void>& done) {
        if (turn != turn_)
            return;
        inserted_ = static_cast<bool>(done);
        if (done)
            (void)settings_.identity.set(image().identity);
        problem_ = done ? "" : done.fault().message;
        if (!done)
            log_event("Fault", "major", problem_);
        on_drive_changed();
    });
}

// -- what show says

const kvms::DriveStatus& MediaSlot::image() const {
    return from_library() ? library_image_ : drive_.status();
}

std::string MediaSlot::status() const {
    if (leaving_)
        return host_->locked(device_.drive) ? "tray locked by guest" : "ejecting";
    if (*settings_.mode == StorageMode::disabled)
        return "disabled";
    if (settings_.server_uri->empty())
        return "not configured";
    if (image().operational() && !problem_.empty())
        return "failed";
    if (image().operational() && ejected_by_guest_)
        return "ejected by guest";
    return image().status;
}

std::string MediaSlot::detail() const {
    if (leaving_)
        return host_->locked(device_.drive) ? locked_tray : "The guest is asked to give it back.";
    if (*settings_.mode == StorageMode::remote && settings_.server_uri->empty())
        return "Set server_URI of the target 'remote'.";
    if (problem_.empty() && ejected_by_guest_)
        return "'set mode=remote' inserts it again.";
    return problem_.empty() ? image().detail : problem_;
}

std::string MediaSlot::on_its_way() const {
    const bool inserting = image().operational() && !inserted_ && problem_.empty();
    if (wanted().uri.empty() || (!image().pending() && !inserting))
        return "";
    return "The remote image is not there yet (" + image().status + "): " + wanted().uri;
}

Result<void> MediaSlot::insert_local(const std::string& uri, const std::string& account,
                                     Roles roles) {
    auto stored = set_image(uri, account, roles);
    if (stored)
        stored = settings_.mode.set(uri.empty() ? StorageMode::disabled : StorageMode::remote);
    if (stored)
        follow();
    return stored;
}

bool MediaSlot::in_trouble() const {
    const std::string now = status();
    return now != "disabled" && now != "operational" && now != "ejected by guest" && !leaving_ &&
           !image().pending();
}

} // namespace lom
