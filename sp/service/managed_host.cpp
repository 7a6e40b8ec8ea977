#include "sp/service/managed_host.h"

#include "kvms/screen/keys.h"
#include "sp/service/one_line.h"

#include <algorithm>
#include <ctime>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr auto crash_pause = 2s; // the last words reach the console and the screen first
constexpr const char* vnc_session = "vnc port";   // in no list of sessions: it has no account
constexpr std::uint64_t most_history = 1U << 20U; // of one answer; the log itself keeps more

template <typename People, typename Test>
bool any_of(const People& people, Test test) {
    return std::any_of(people.begin(), people.end(), test);
}

const char* severity_text(vmm::Severity severity) {
    switch (severity) {
    case vmm::Severity::info:
        return "info";
    case vmm::Severity::minor:
        return "minor";
    case vmm::Severity::major:
        return "major";
    case vmm::Severity::critical:
        return "critical";
    }
    return "info";
}

kvms::ScreenPaths screen_paths(const Paths& paths, const std::string& name) {
    return {.programs = paths.programs,
            .control = paths.host_run(name) + "/screen.sock",
            .record = paths.host_state(name) + "/screen.json",
            .log = paths.host_state(name) + "/screen.log",
            .display = paths.host_run(name) + "/qemu/vnc.sock"};
}

std::string time_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[32] = "";
    std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

} // namespace

HostSettings::HostSettings(Settings& store, const std::string& prefix)
    : escapechars(store, prefix + "console/escapechars", "#."),
      line_count(store, prefix + "console/line_count", 0),
      start_from(store, prefix + "console/start_from", HistoryStart::end),
      pause_count(store, prefix + "console/pause_count", 0),
      logging(store, prefix + "console/logging", Switch::enabled),
      logged_from(store, prefix + "console/logged_from", 0),
      booted_at(store, prefix + "console/booted_at", 0),
      autorestart(store, prefix + "autorestart", AutoRestart::none),
      locator(store, prefix + "locator", Switch::disabled),
      kvms_state(store, prefix + "kvms/servicestate", Switch::enabled),
      clipboard_typing(store, prefix + "kvms/clipboard_typing", Switch::disabled),
      keyboard_layout(store, prefix + "kvms/keyboard_layout", "us"),
      vnc_state(store, prefix + "kvms/vnc/servicestate", Switch::disabled),
      vnc_port(store, prefix + "kvms/vnc/port", 5900),
      vnc_password(store, prefix + "kvms/vnc/password", ""),
      vnc_access(store, prefix + "kvms/vnc/access", ScreenAccess::control),
      sharing(store, prefix + "console/sharing", Switch::enabled) {}

ManagedHost::ManagedHost(Loop& loop, const Paths& paths, Settings& store, Log& events,
                         const std::string& name)
    : loop_(loop), events_(events), settings_(store, "hosts/" + name + "/"),
      screen_(loop, screen_paths(paths, name), name,
              {.changed =
                   [this] {
                       tell(Part::screen);
                       screen_seat_.review();
                   },
               .refused =
                   [this](const std::string& who) {
                       events_.append("Screen", "Log", "minor",
                                      "A VNC viewer gave a wrong password: " + who + ".");
                   }}),
      vnc_(loop, [this](UniqueFd socket,
                        const std::string& address) { welcome_vnc(std::move(socket), address); }),
      listen_address_(paths.listen_address),
      local_image_(loop, store, "hosts/" + name + "/storage/local/",
                   {.uri = [this] { return media_[0]->wanted_uri(); },
                    .insert =
                        [this](const LocalImage::Request& request, const std::string& uri) {
                            return media_[0]->insert_local(uri, request.account, request.roles);
                        },
                    .connect = [this] { return media_[0]->connect_feed(); }}),
      console_seat_(loop, {.holder = [this] { return holder_of(console_->clients()); },
                           .may_have =
                               [this](const std::string& session) {
                                   return any_of(console_->clients(), [&](const auto& client) {
                                       return client.session == session;
                                   });
                               },
                           .give = [this](const std::string& to) { console_->give_seat(to); },
                           .changed = [this] { tell(Part::console); }}),
      screen_seat_(loop, {.holder = [this] { return holder_of(screen_.status().viewers); },
                          .may_have =
                              [this](const std::string& session) {
                                  return any_of(screen_.status().viewers, [&](const auto& viewer) {
                                      return viewer.session == session && viewer.may_write;
                                  });
                              },
                          .give = [this](const std::string& to) { screen_.give_seat(to); },
                          .changed = [this] { tell(Part::screen); }}) {}

Result<std::unique_ptr<ManagedHost>>
ManagedHost::open(Loop& loop, const Paths& paths, Settings& store, Log& events,
                  kvms::Library& library, const ImagePolicySettings& policy,
                  vmm::HostEnvironment environment, const vmm::HostDefinition& initial) {
    std::unique_ptr<ManagedHost> managed(new ManagedHost(loop, paths, store, events, initial.name));
    managed->add_media({paths, initial.name, store, events, library, policy, environment.qemu_uid});
    if (const auto opened = managed->open_parts(paths, std::move(environment), initial); !opened)
        return opened.fault();
    return managed;
}

Result<void> ManagedHost::open_parts(const Paths& paths, vmm::HostEnvironment environment,
                                     const vmm::HostDefinition& initial) {
    auto console = kvms::Console::open(
        loop_, paths.host_state(initial.name) + "/console.log", {},
        {.input =
             [this](std::string_view bytes) {
                 if (host_ && host_->at_ok_prompt())
                     host_->prompt_input(bytes);
             },
         .send_break =
             [this](const std::function<void()>& sent) {
                 if (host_)
                     host_->send_break([sent](const Result<void>&) { sent(); });
             },
         .changed =
             [this] {
                 tell(Part::console);
                 console_seat_.review();
             },
         .trouble =
             [this](const std::string& text) { events_.append("Host", "Fault", "major", text); }});
    if (!console)
        return console.fault();
    console_ = std::move(*console);

    auto host = vmm::Host::open(
        loop_, std::move(environment), initial,
        {.changed = [this] { on_host_changed(); },
         .event = [this](const vmm::HostEvent& event) { log_event(event); },
         .prompt_text = [this](std::string_view text) { console_->print(text); },
         .serial = [this](const std::string& socket) { console_->use_socket(socket); }});
    if (!host)
        return host.fault();
    host_ = std::move(*host);
    apply_keyboard();
    screen_.open();
    follow_vnc();
    on_host_changed();
    for (const auto& slot : media_)
        slot->open(*host_);
    return {};
}

void ManagedHost::add_media(const MediaSlot::Place& place) {
    for (const MediaDevice& device : media_devices)
        media_[vmm::index_of(device.drive)] =
            std::make_unique<MediaSlot>(loop_, device, place, [this] {
                tell(Part::drive);
                follow_problems();
            });
}

void ManagedHost::on_library_changed() {
    for (const auto& slot : media_)
        slot->on_library_changed();
}

void ManagedHost::on_host_changed() {
    tell(Part::host);
    if (!host_)
        return;
    console_->divert_input(host_->at_ok_prompt());
    for (const auto& slot : media_)
        slot->on_host_changed();
    show_on_screen();
    note_boot();
    restart_crashed();
    follow_problems();
}

std::vector<Problem> ManagedHost::problems() const { return problems_; }

void ManagedHost::follow_problems() {
    if (!host_)
        return;
    std::vector<Problem> now;
    const auto add = [&](const char* subsystem, const std::string& folder,
                         const std::string& component, const std::string& text) {
        const auto known =
            std::find_if(problems_.begin(), problems_.end(),
                         [&](const Problem& old) { return old.component == component; });
        now.push_back({known == problems_.end() ? std::time(nullptr) : known->since, subsystem,
                       component, folder + component, text});
    };
    if (host_->status() == vmm::HostStatus::stopped ||
        host_->status() == vmm::HostStatus::unreachable)
        add("Host", "/", "HOST", host_->status_detail());
    for (const auto& slot : media_)
        if (slot->in_trouble())
            add("Remote Storage", "/SP/services/kvms/", slot->device().target,
                "Status: " + std::string(slot->status()) + ". " + slot->detail());
    problems_ = std::move(now);
}

/// A host that was adopted is not one that starts.
void ManagedHost::note_boot() {
    const auto before = std::exchange(host_status_, host_->status());
    const auto begins = [](vmm::HostStatus status) {
        return status == vmm::HostStatus::starting || status == vmm::HostStatus::restarting;
    };
    if (before && !begins(*before) && begins(host_->status()))
        (void)settings_.booted_at.set(static_cast<std::int64_t>(console_->end()));
}

void ManagedHost::restart_crashed() {
    if (!host_->crashed() || *settings_.autorestart != AutoRestart::reset)
        return restart_soon_.reset();
    if (restart_soon_)
        return;
    restart_soon_ = loop_.after(crash_pause, [this] {
        restart_soon_.reset();
        if (!host_->crashed())
            return;
        log_event({vmm::Severity::major, "The host is reset, because autorestart says so.",
                   std::nullopt});
        host_->reset([](const Result<void>&) {});
    });
}

void ManagedHost::show_on_screen() {
    if (host_)
        screen_.follow_host(host_->power_state() == vmm::PowerState::on,
                            vmm::host_status_text(host_->status()), last_event_);
}

void ManagedHost::log_event(const vmm::HostEvent& event) {
    if (event.ends_picture)
        screen_.keep_last(*event.ends_picture);
    last_event_ = time_now() + "  " + event.text;
    show_on_screen();
    events_.append("Host", event.severity == vmm::Severity::info ? "Log" : "Fault",
                   severity_text(event.severity), event.text);
}

// -- who is there

void ManagedHost::end_session(const std::string& session) {
    screen_.drop_session(session);
    local_image_.end_session(session);
}

void ManagedHost::follow_roles(const std::string& session, Roles roles) {
    if (!roles.intersects(Role::admin | Role::console))
        local_image_.end_session(session);
    if (roles.intersects(Role::console))
        return;
    console_->detach_session(session, "the role c (console) was taken away");
    if (roles.intersects(Role::read_only))
        screen_.demote_session(session);
    else
        screen_.drop_session(session);
}

// -- the screen's keyboard

void ManagedHost::apply_keyboard() {
    auto layout = kvms::load_layout(*settings_.keyboard_layout);
    screen_.use_keyboard(layout ? std::move(*layout) : kvms::Layout(),
                         *settings_.clipboard_typing == Switch::enabled);
}

Result<void> ManagedHost::apply_vnc() {
    vnc_.close();
    screen_.drop_session(vnc_session);
    if (*settings_.vnc_state == Switch::disabled)
        return {};
    return vnc_.open(listen_address_, static_cast<std::uint16_t>(*settings_.vnc_port));
}

void ManagedHost::follow_vnc() {
    if (const auto listening = apply_vnc(); !listening)
        events_.append("Screen", "Fault", "major", listening.fault().message);
}

void ManagedHost::welcome_vnc(UniqueFd socket, const std::string& address) {
    if (*settings_.kvms_state == Switch::enabled && !settings_.vnc_password->empty())
        (void)screen_.take_viewer(std::move(socket),
                                  {.who = "VNC password (" + address + ")",
                                   .session = vnc_session,
                                   .may_write = *settings_.vnc_access == ScreenAccess::control,
                                   .password = *settings_.vnc_password});
}

Result<void> ManagedHost::type_text(const std::string& text) {
    return screen_.type(with_newlines(text));
}

std::string ManagedHost::image_on_its_way() const {
    for (const auto& slot : media_)
        if (std::string text = slot->on_its_way(); !text.empty())
            return text;
    return "";
}

// -- console history

Result<void> ManagedHost::follow_logging() {
    if (*settings_.logging == Switch::disabled)
        return {};
    return settings_.logged_from.set(static_cast<std::int64_t>(console_->end()));
}

/// The console keeps its newest bytes for its readers in any case; whoever did not want them
/// logged does not see them later.
Result<std::string> ManagedHost::logged(std::uint64_t from, std::uint64_t limit) const {
    if (*settings_.logging == Switch::disabled)
        return Fault{FaultKind::wrong_state,
                     "failed. could not get console history: logging is disabled"};
    return console_->read(std::max(from, static_cast<std::uint64_t>(*settings_.logged_from)),
                          limit);
}

Result<std::string> ManagedHost::whole_log() const {
    return logged(console_->start(), console_->end() - console_->start());
}

Result<std::string> ManagedHost::boot_log() const {
    return logged(static_cast<std::uint64_t>(*settings_.booted_at), most_history);
}

Result<std::string> ManagedHost::history() const {
    const std::uint64_t end = console_->end();
    std::uint64_t from = console_->start();
    if (*settings_.start_from == HistoryStart::end)
        from = console_->offset_of_last_lines(static_cast<std::size_t>(*settings_.line_count));
    if (end - from > most_history && *settings_.start_from == HistoryStart::end)
        from = end - most_history;
    auto text = logged(from, most_history);
    if (!text || *settings_.start_from == HistoryStart::end || *settings_.line_count == 0)
        return text;
    std::size_t cut = 0;
    for (std::int64_t line = 0; line < *settings_.line_count && cut != std::string::npos; ++line) {
        cut = text->find('\n', cut);
        cut += cut == std::string::npos ? 0 : 1;
    }
    return text->substr(0, cut);
}

} // namespace lom
