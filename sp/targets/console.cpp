// /HOST/console, also /SP/console: the host's serial console.
#include "sp/targets/presence.h"
#include "sp/targets/targets.h"
#include "sp/targets/transfer_verbs.h"

namespace lom {

namespace {

constexpr std::int64_t most_lines = 2048;

Result<void> check_escape(const std::string& text) {
    if (text.size() < 2 || text.size() > 8)
        return Fault{FaultKind::invalid_value, "The escape sequence has 2 to 8 characters."};
    return {};
}

Result<void> check_lines(std::int64_t lines) {
    if (lines < 0 || lines > most_lines)
        return Fault{FaultKind::invalid_value, "The number of lines is 0 to 2048."};
    return {};
}

void start_console(ManagedHost& host, const VerbCall& call, const Verb::Done& done) {
    std::uint64_t id = 0;
    const bool shared = *host.settings().sharing == Switch::enabled;
    if (!shared && call.force)
        host.console().detach_all("taken over by " + call.caller.account);
    // From the line that the console stands in: a prompt that waits there is to be seen.
    const std::uint64_t here = host.console().offset_of_last_lines(1);
    auto fd = host.console().attach({.who = call.caller.account + " (" + call.caller.source + ")",
                                     .session = call.caller.session,
                                     .write = true,
                                     .force = call.force,
                                     .offset = call.console_offset.value_or(here)},
                                    shared, id);
    if (!fd)
        return done(fd.fault());
    VerbOutcome outcome;
    outcome.stream = "console";
    outcome.escape = *host.settings().escapechars;
    outcome.fd = std::move(*fd);
    done(std::move(outcome));
}

/// Texts that are shown page by page, as pause_count says.
Target::Ptr log_target(ManagedHost& host, const char* name, const char* doc,
                       Result<std::string> (ManagedHost::*read)() const) {
    auto target = Target::make(name, doc);
    target->text([&host, read] { return (host.*read)(); },
                 [&host] { return *host.settings().pause_count; });
    return target;
}

std::vector<Presence::Person> readers_of(ManagedHost& host) {
    std::vector<Presence::Person> people;
    for (const kvms::ConsoleClient& client : host.console().clients())
        people.push_back({client.who, client.session, true, client.writer});
    return people;
}

} // namespace

Target::Ptr console_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    HostSettings& settings = host.settings();
    auto target = Target::make("console", "The host's serial console.");
    target->persistent<std::string>(settings.escapechars,
                                    {.name = "escapechars",
                                     .doc = "What to type to leave the console.",
                                     .write = Role::admin,
                                     .check = check_escape});
    target->persistent<std::int64_t>(settings.line_count,
                                     {.name = "line_count",
                                      .doc = "Lines of history to show, 0 to 2048; 0: all.",
                                      .write = Role::console,
                                      .check = check_lines});
    target->persistent<Switch>(
        settings.logging,
        {.name = "logging",
         .doc = "Whether history and bootlog show what the console printed; disabled: they never "
                "will, for that time.",
         .write = Role::admin,
         .changed = [&host] { (void)host.follow_logging(); }});
    target->persistent<std::int64_t>(
        settings.pause_count,
        {.name = "pause_count",
         .doc = "Lines of history and bootlog after which the output waits for a key, 0 to 2048; "
                "0: never.",
         .write = Role::console,
         .check = check_lines});
    target->persistent<HistoryStart>(settings.start_from,
                                     {.name = "start_from",
                                      .doc = "Which end of the history line_count counts from.",
                                      .write = Role::console});
    target->persistent<Switch>(settings.sharing,
                               {.name = "sharing",
                                .doc = "Whether a second session may watch; disabled: it is told "
                                       "that the console is in use.",
                                .write = Role::admin});
    add_presence(*target,
                 {.seat = host.console_seat(), .people = [&host] { return readers_of(host); }});
    target->verb({.name = "start",
                  .doc = "Connects to the console; -force takes the keyboard from who has it.",
                  .role = Role::console,
                  .run = [&host](const VerbCall& call, const std::string&, const Verb::Done& done) {
                      start_console(host, call, done);
                  }});
    target->verb(
        {.name = "stop",
         .doc = "Ends everybody's console connection.",
         .role = Role::console,
         .run = [&host](const VerbCall& call, const std::string& path, const Verb::Done& done) {
             host.console().detach_all("stopped by " + call.caller.account);
             done(VerbOutcome{.message = "Stopping " + path});
         }});
    target->verb(dump_verb(
        context.transfers, "Sends what history shows, whole, to another machine.", Role::console,
        [&host](const std::function<void(Result<std::string>)>& done) { done(host.whole_log()); }));
    target->child(log_target(host, "bootlog",
                             "What the console printed since the last power-on or reset.",
                             &ManagedHost::boot_log));
    target->child(log_target(host, "history",
                             "What the console printed; see line_count, start_from, pause_count.",
                             &ManagedHost::history));
    return target;
}

} // namespace lom
