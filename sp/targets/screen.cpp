// /HOST/screen: the host's screen, keyboard and mouse; its service below /SP/services/kvms.
#include "kvms/screen/keys.h"
#include "sp/targets/presence.h"
#include "sp/targets/targets.h"
#include "sp/targets/transfer_verbs.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace lom {

namespace {

/// What was read last; refreshed before each show.
struct ScreenReading {
    Result<kvms::ScreenText> text = Fault{FaultKind::unavailable, "The screen was not read yet."};
};

std::string size_of(int width, int height) {
    return std::to_string(width) + " x " + std::to_string(height);
}

Result<std::string> words_of(const ScreenReading& reading, bool last) {
    if (!reading.text && reading.text.fault().kind == FaultKind::wrong_state)
        return reading.text.fault().message + "\n"; // none is kept yet: nothing is wrong
    if (!reading.text)
        return reading.text.fault();
    const kvms::ScreenText& screen = *reading.text;
    if (!last && !screen.live)
        return std::string("The host is off. Its last screen: show /HOST/screen/last\n");
    if (screen.columns == 0)
        return "The screen is in graphics mode, " + size_of(screen.width, screen.height) +
               "; it has no text that can be read.\n";
    return screen.text;
}

Target& reads_screen(Target& target, ManagedHost& host, bool last) {
    const auto reading = std::make_shared<ScreenReading>();
    target.refresh([&host, reading, last](std::function<void()> ready) {
        host.screen().read_text(last,
                                [reading, ready = std::move(ready)](Result<kvms::ScreenText> text) {
                                    reading->text = std::move(text);
                                    ready();
                                });
    });
    return target.text([reading, last] { return words_of(*reading, last); });
}

bool wants_view(const VerbCall& call) {
    for (const auto& [name, value] : call.properties)
        if (name == "access")
            return Codec<ScreenAccess>::unwrap(value) == ScreenAccess::view;
    return false;
}

bool asks_for_control(const VerbCall& call) {
    return !call.properties.empty() && !wants_view(call);
}

void start_screen(ManagedHost& host, const VerbCall& call, const Verb::Done& done) {
    const bool may_write = call.caller.roles.intersects(Role::console);
    if (!may_write && (asks_for_control(call) || call.force))
        return done(Fault{FaultKind::denied,
                          "The role c (console) is needed for the host's keyboard and mouse; "
                          "without access=control the screen is shown only."});
    if (*host.settings().kvms_state == Switch::disabled)
        return done(Fault{FaultKind::wrong_state,
                          "Remote screens are switched off; see servicestate of "
                          "/SP/services/kvms."});
    auto fd =
        host.screen().connect_viewer({.who = call.caller.account + " (" + call.caller.source + ")",
                                      .session = call.caller.session,
                                      .may_write = may_write && !wants_view(call),
                                      .force = call.force});
    if (!fd)
        return done(fd.fault());
    VerbOutcome outcome;
    outcome.message = "The screen needs a viewer: forward a port with "
                      "ssh -L 5900:kvm:5900, then point a VNC viewer at localhost:5900.";
    outcome.stream = "screen";
    outcome.fd = std::move(*fd);
    done(std::move(outcome));
}

Verb start_verb(ManagedHost& host) {
    Verb verb{.name = "start",
              .doc = "Opens the screen for a VNC viewer; -force takes keyboard and mouse from who "
                     "has them. access=view: to look only.",
              .role = Role::console | Role::read_only,
              .asks = false,
              .run = [&host](const VerbCall& call, const std::string&, const Verb::Done& done) {
                  start_screen(host, call, done);
              }};
    verb.takes.push_back(Target::property_of<ScreenAccess>(
        {.name = "access", .doc = "control (the default where the account may), or view."}));
    return verb;
}

/// The whole of a file in memory.
Result<std::string> content_of(const UniqueFd& fd) {
    std::string content(static_cast<std::size_t>(std::max<off_t>(lseek(fd.get(), 0, SEEK_END), 0)),
                        '\0');
    if (pread(fd.get(), content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
        return Fault{FaultKind::internal, "The picture cannot be read."};
    return content;
}

/// To another machine, or to the caller, who knows where its own file is.
void dump_screen(ManagedHost& host, Transfers& transfers, bool last, const VerbCall& call,
                 const Verb::Done& done) {
    const std::string destination = text_of(call, "destination");
    const bool sent = !destination.empty() && !destination.starts_with("file:");
    host.screen().read_png(last, [&transfers, sent, call, done](Result<UniqueFd> png) {
        if (!png)
            return done(png.fault());
        if (sent) {
            auto content = content_of(*png);
            if (!content)
                return done(content.fault());
            return send_dump(transfers, call, std::move(*content), done);
        }
        VerbOutcome outcome;
        outcome.message = "Dump successful.";
        outcome.stream = "file";
        outcome.fd = std::move(*png);
        done(std::move(outcome));
    });
}

Verb picture_verb(ManagedHost& host, Transfers& transfers, bool last) {
    Verb verb{.name = "dump",
              .doc = "A picture of the screen as PNG.",
              .role = Role::console | Role::read_only,
              .asks = false,
              .run = [&host, &transfers, last](const VerbCall& call, const std::string&,
                                               const Verb::Done& done) {
                  dump_screen(host, transfers, last, call, done);
              }};
    verb.takes = dump_properties();
    verb.takes.front().doc = "sftp://[USER@]HOST[:PORT]/PATH, or file:///PATH on the machine where "
                             "lom runs; without it a program gets the file itself.";
    verb.takes.front().required = false;
    return verb;
}

std::vector<Presence::Person> viewers_of(ManagedHost& host) {
    std::vector<Presence::Person> people;
    for (const auto& viewer : host.screen().status().viewers)
        people.push_back({viewer.who, viewer.session, viewer.may_write, viewer.writer});
    return people;
}

std::vector<std::string> lights_of(ManagedHost& host) {
    std::vector<std::string> names;
    const unsigned leds = host.screen().status().leds;
    unsigned bit = 1;
    for (const char* name : {"scroll lock", "num lock", "caps lock"}) {
        if ((leds & bit) != 0)
            names.emplace_back(name);
        bit <<= 1U;
    }
    return names;
}

Result<SetOutcome> outcome(const Result<void>& done, const char* message) {
    return done ? Result<SetOutcome>(SetOutcome{message}) : done.fault();
}

void add_input(Target& target, ManagedHost& host) {
    target.managed<std::string>(
        {.name = "send_keys",
         .doc = "Set to press keys: ctrl-alt-delete, f2, 'down down enter', alt-sysrq-b.",
         .write = Role::console,
         .set = [&host](const Caller&, const std::string& names, const Property::Done& done) {
             const auto strokes = kvms::strokes_of(names);
             done(strokes ? outcome(host.screen().press(*strokes), "Keys sent") : strokes.fault());
         }});
    target.managed<std::string>(
        {.name = "type_text",
         .doc = "Set to type a text with keyboard_layout of /SP/services/kvms; \\n is Enter.",
         .write = Role::console,
         .set = [&host](const Caller&, const std::string& text, const Property::Done& done) {
             done(outcome(host.type_text(text), "Text is being typed"));
         }});
}

Target::Ptr last_target(ManagedHost& host, Transfers& transfers) {
    auto target = Target::make(
        "last", "The screen as it was before the last reset, panic or power-off of the host.");
    reads_screen(*target, host, true);
    target->verb(picture_verb(host, transfers, true));
    return target;
}

} // namespace

namespace {

constexpr std::size_t shortest_vnc_password = 6;
constexpr std::size_t longest_vnc_password = 8; // the protocol's DES key

Result<void> check_vnc_password(const std::string& password) {
    if (password.size() < shortest_vnc_password || password.size() > longest_vnc_password)
        return Fault{FaultKind::invalid_value,
                     "The password has 6 to 8 characters: VNC looks at no more."};
    return {};
}

void switch_vnc(ManagedHost& host, Switch state, const Property::Done& done) {
    HostSettings& settings = host.settings();
    if (state == Switch::enabled && settings.vnc_password->empty())
        return done(Fault{FaultKind::wrong_state, "Set its password first."});
    const Switch before = *settings.vnc_state;
    if (const auto stored = settings.vnc_state.set(state); !stored)
        return done(stored.fault());
    const auto applied = host.apply_vnc();
    if (!applied)
        (void)settings.vnc_state.set(before);
    done(applied ? Result<SetOutcome>(SetOutcome{}) : applied.fault());
}

Target::Ptr vnc_target(ManagedHost& host) {
    HostSettings& settings = host.settings();
    auto target = Target::make("vnc", "A listening VNC port for the screen; ssh -L 5900:kvm:5900 "
                                      "needs none.");
    const auto apply = [&host] { host.follow_vnc(); };
    target->persistent<ScreenAccess>(settings.vnc_access,
                                     {.name = "access",
                                      .doc = "What the password is good for: view or control.",
                                      .write = Role::admin,
                                      .changed = apply});
    target->persistent<std::string>(settings.vnc_password,
                                    {.name = "password",
                                     .doc = "The port's own password, 6 to 8 characters.",
                                     .write = Role::admin,
                                     .secret = true,
                                     .check = check_vnc_password,
                                     .changed = apply});
    target->persistent<std::int64_t>(
        settings.vnc_port,
        {.name = "port",
         .doc = "TCP port.",
         .write = Role::admin,
         .check = [](std::int64_t port) -> Result<void> {
             if (port < 1 || port > 65535)
                 return Fault{FaultKind::invalid_value, "A port is a number from 1 to 65535."};
             return {};
         },
         .changed = apply});
    target->managed<Switch>(
        {.name = "servicestate",
         .doc = "enabled: the port is open.",
         .write = Role::admin,
         .get = [&settings] { return *settings.vnc_state; },
         .set = [&host](const Caller&, Switch state,
                        const Property::Done& done) { switch_vnc(host, state, done); }});
    target->shows<std::string>("warning", "What VNC's password is worth.", [] {
        return std::string(
            "VNC encrypts nothing: keys and pictures cross the network in the clear, and its "
            "password protects with 56 bits of DES. Use ssh -L 5900:kvm:5900 instead.");
    });
    return target;
}

} // namespace

Target::Ptr screen_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    auto target = Target::make("screen", "The host's screen, keyboard and mouse.");
    target->shows<std::string>(
        "resolution", "Width and height in dots; empty: the host is off.", [&host] {
            const auto& status = host.screen().status();
            return status.connected ? size_of(status.width, status.height) : std::string();
        });
    add_presence(*target,
                 {.seat = host.screen_seat(), .people = [&host] { return viewers_of(host); }});
    target->shows<std::vector<std::string>>("keyboard_lights",
                                            "Which lights of the keyboard the host has lit.",
                                            [&host] { return lights_of(host); });
    add_input(*target, host);
    reads_screen(*target, host, false);
    target->verb(picture_verb(host, context.transfers, false));
    target->verb(start_verb(host));
    target->verb({.name = "stop",
                  .doc = "Ends everybody's connection to the screen.",
                  .role = Role::console,
                  .run = [&host](const VerbCall&, const std::string& path, const Verb::Done& done) {
                      host.screen().drop_viewers();
                      done(VerbOutcome{.message = "Stopping " + path});
                  }});
    target->child(last_target(host, context.transfers));
    return target;
}

void add_kvms_properties(Target& target, const TargetContext& context) {
    ManagedHost& host = context.host;
    HostSettings& settings = host.settings();
    target.persistent<Switch>(settings.clipboard_typing,
                              {.name = "clipboard_typing",
                               .doc = "enabled: what the writer of a screen copies on the own "
                                      "machine is typed on the host.",
                               .write = Role::admin,
                               .changed = [&host] { host.apply_keyboard(); }});
    target.persistent<std::string>(
        settings.keyboard_layout,
        {.name = "keyboard_layout",
         .doc = "Layout that the host expects when texts are typed: us, gb, de, fr, ...",
         .write = Role::admin,
         .check = [](const std::string& name) -> Result<void> {
             const auto layout = kvms::load_layout(name);
             return layout ? Result<void>() : layout.fault();
         },
         .changed = [&host] { host.apply_keyboard(); }});
    target.persistent<Switch>(settings.kvms_state,
                              {.name = "servicestate",
                               .doc = "disabled: nobody sees the host's screen.",
                               .write = Role::admin,
                               .changed = [&host] {
                                   if (*host.settings().kvms_state == Switch::disabled)
                                       host.screen().drop_viewers();
                               }});
    target.child(vnc_target(host));
}

} // namespace lom
