#include "vmm/host.h"

#include "base/files.h"
#include "base/process.h"
#include "base/stream.h"
#include "vmm/command_line.h"
#include "vmm/drive_bay.h"
#include "vmm/hardware.h"
#include "vmm/io_hold.h"
#include "vmm/qemu_launch.h"
#include "vmm/qemu_process.h"
#include "vmm/runtime_record.h"

#include <ctime>
#include <optional>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;
using SystemTime = std::chrono::system_clock::time_point;

namespace {

using Next = RuntimeRecord::Next;

constexpr auto greeting_limit = 5s;
constexpr auto adoption_limit = 2s;
constexpr auto straggler_limit = 500ms; // from a fork that a killed lomd made to QEMU's sockets
constexpr auto straggler_pause = 10ms;
constexpr auto settle_limit = 2s; // a QEMU that hangs reboots no guest either
constexpr auto reset_burst = 1s;  // SeaBIOS resets up to three times for one reset of the guest
constexpr auto heartbeat = 10s;

Fault wrong_state(std::string message) { return {FaultKind::wrong_state, std::move(message)}; }

std::string clock_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[16];
    std::strftime(text, sizeof(text), "%H:%M:%S", &parts);
    return text;
}

std::string why_stopped(const std::string& state) {
    if (state == "guest-panicked")
        return "The guest has panicked; reset or stop it.";
    if (state == "internal-error")
        return "The processor cannot go on with the guest's code (KVM internal error); reset or "
               "stop it.";
    return "The host is paused (" + state + "); reset or stop it.";
}

} // namespace

const char* host_status_text(HostStatus status) {
    switch (status) {
    case HostStatus::powered_off:
        return "Powered Off";
    case HostStatus::starting:
        return "Starting";
    case HostStatus::openboot_running:
        return "OpenBoot Running";
    case HostStatus::powered_on:
        return "Powered On";
    case HostStatus::powering_off:
        return "Powering Off";
    case HostStatus::restarting:
        return "Restarting";
    case HostStatus::stopped:
        return "Host stopped";
    case HostStatus::unreachable:
        return "Unreachable";
    }
    return "";
}

struct Host::Impl {
    Impl(Loop& loop_in, HostEnvironment environment_in, HostObserver observer_in)
        : loop(loop_in), environment(std::move(environment_in)),
          observer(std::move(observer_in)), files{environment.dir, environment.run_dir},
          hardware(loop, files),
          drives(loop,
                 {.changed = [this] { on_medium_changed(); },
                  .trouble = [this](const std::string& text) { event(Severity::major, text); },
                  .proceed = [this] { io.proceed(); }}),
          io(loop, {.held = [this](const std::string& text) { on_held(text); },
                    .event = [this](Severity severity,
                                    const std::string& text) { event(severity, text); },
                    .has_source = [this](DriveId id) { return !drives[id].wanted().local; }}) {}

    // -- opening

    Result<void> open(const HostDefinition& initial) {
        for (const std::string& path : {environment.dir, environment.run_dir})
            if (const auto made = make_directories(path, 0711); !made)
                return made;
        if (const auto loaded = hardware.load(initial); !loaded)
            return loaded;
        boot.emplace(
            load_boot_state(), [this](const BootState& changed) { return save_boot(changed); },
            [] { return std::chrono::system_clock::now(); },
            BootControl::Actions{
                .boot = [this](const BootPlan& chosen) { boot_from_prompt(chosen); },
                .reset_all = [this] { restart("OpenBoot resets the host.", nullptr); },
                .power_off = [this] { cut_power("OpenBoot powers the host off.", nullptr); },
                .print = [this](std::string_view text) { observer.prompt_text(text); }});
        tell_boot_of_hardware();
        take_over();
        return {};
    }

    BootState load_boot_state() {
        const auto text = read_file(files.boot_state());
        if (!text)
            return {};
        auto state = boot_state_from_json(*text);
        if (!state)
            event(Severity::major, "The host's NVRAM cannot be read and has its defaults again: " +
                                       state.fault().message);
        return state ? std::move(*state) : BootState{};
    }

    Result<void> save_boot(const BootState& changed) {
        const auto saved =
            write_file_durably(files.boot_state(), boot_state_to_json(changed), 0600);
        // Soon: BootControl takes the new state over once this has returned.
        after_save = loop.after(0ms, [this] {
            follow_trap();
            observer.changed();
        });
        return saved;
    }

    // -- taking over from an earlier lomd

    /// Whoever listens at the monitor is the host's QEMU, recorded or not.
    void take_over() {
        const auto found = load_runtime_record(files.runtime_record());
        const RuntimeRecord record = found.value_or(RuntimeRecord{});
        plan = next_plan = record.plan;
        drives.want(record.media);
        if (const auto running = listener_at(files.qmp()))
            return adopt(*running, record);
        if (is_alive(record.process))
            return adopt(record.process, record);
        if (!found)
            return;
        set_status(HostStatus::starting, "");
        straggler_deadline = std::chrono::steady_clock::now() + straggler_limit;
        const bool maybe_on_its_way = record.next == Next::boot && record.process.pid == 0;
        take_over_timer = loop.after(0ms, [this, record, maybe_on_its_way] {
            maybe_on_its_way ? await_straggler(record) : resume(record);
        });
    }

    /// The last lomd may have been killed between forking QEMU and noting its number.
    void await_straggler(const RuntimeRecord& record) {
        if (const auto running = listener_at(files.qmp()))
            return adopt(*running, record);
        if (std::chrono::steady_clock::now() > straggler_deadline)
            return resume(record);
        take_over_timer = loop.after(straggler_pause, [this, record] { await_straggler(record); });
    }

    /// QEMU is gone: what was to come next?
    void resume(const RuntimeRecord& record) {
        switch (record.next) {
        case Next::nothing:
            event(Severity::major, "The host lost its power while the service processor was away.");
            return go_off("");
        case Next::off:
            return go_off("");
        case Next::decide:
            return begin(nullptr);
        case Next::boot:
            return launch(record.plan, nullptr);
        }
    }

    void adopt(const ProcessId& process, const RuntimeRecord& record) {
        // A boot whose process is just not recorded yet is under way; the rest is still to end.
        next = record.next == Next::boot && record.process.pid == 0 ? Next::nothing : record.next;
        set_status(HostStatus::starting, "Taking over the running host.");
        watch(process, adoption_limit, false);
        if (starts_again = record.starts_again; starts_again) // the button was pressed: wait anew
            shutdown_timer = loop.after(environment.shutdown_limit, [this] { give_up_shutdown(); });
        save_record();
        if (next != Next::nothing)
            qemu->end();
    }

    void examine() {
        qemu->execute("query-status", "", [this](const Result<QmpFields>& now) {
            if (!now || !qemu)
                return; // contact is lost: that comes by itself
            observer.serial(files.serial_input());
            if (status == HostStatus::unreachable)
                event(Severity::info, "The host answers again.");
            drives.attach(*qemu, [] {});
            if (now->status == "prelaunch")
                return stop_at_ok(); // only there does a processor wait for its first step
            follow_trap();
            set_status(HostStatus::powered_on, "");
            on_state(now->status);
        });
    }

    // -- starting QEMU

    void start(Done done) {
        if (next == Next::off)
            return done(wrong_state("Target shutdown in progress"));
        if (power_state() == PowerState::on)
            return done(wrong_state("Target already started"));
        if (hardware.changing())
            return done(Fault{FaultKind::busy, "The host's hardware is being changed; try again."});
        announcement = "The host is powered on.";
        begin(std::move(done));
    }

    void begin(Done done) {
        without_media = false;
        launch(boot->begin_boot(), std::move(done));
    }

    void launch(const BootPlan& chosen, Done done) {
        started = std::move(done);
        plan = next_plan = chosen;
        if (plan.power_off) { // the script's own word
            announce();
            answer_start({});
            return go_off("The boot script powered the host off.");
        }
        coming_up = true;
        const auto spawned = spawn_qemu();
        if (spawned) {
            watch(*spawned, greeting_limit, true);
            save_record();
        }
        announce(); // after the fork, as the status is: both go to the disk, and the guest need not
                    // wait
        set_status(HostStatus::starting, "");
        if (!spawned)
            fail_start(spawned.fault());
    }

    void announce() {
        if (const std::string text = std::exchange(announcement, ""); !text.empty())
            event(Severity::info, text);
    }

    Result<ProcessId> spawn_qemu() {
        const QemuAccount account = qemu_account(environment);
        if (account.only_root_has_kvm)
            event(Severity::minor,
                  "QEMU runs under lomd's user, because only root may use /dev/kvm; give it to "
                  "a group (chgrp kvm /dev/kvm; chmod 660 /dev/kvm).");
        if (const auto ready = prepare_launch(account, files, hardware.definition()); !ready)
            return ready.fault();
        next = Next::boot; // first, so that a lomd killed right after the fork leaves word of it
        save_record();
        next = Next::nothing;
        trap = wants_trap();
        return launch_qemu(account, files, hardware.definition(),
                           {environment.qemu, environment.acceleration, plan, *trap,
                            without_media ? PerDrive<Medium>{} : drives.wanted()});
    }

    void watch(const ProcessId& process, std::chrono::milliseconds limit, bool fresh) {
        qemu = std::make_unique<QemuProcess>(
            loop, process, files.qmp(), limit,
            QemuProcess::Handlers{
                [this, fresh]() mutable { on_ready(std::exchange(fresh, false)); },
                [this](const std::string& name, const QmpFields& data) { on_event(name, data); },
                [this](const std::string& reason) { on_lost(reason); },
                [this](int wait_status) { on_ended(wait_status); }});
        heartbeat_timer = loop.every(heartbeat, [this] { check(); });
    }

    void on_ready(bool fresh) {
        if (!fresh) {
            trap.reset();
            return examine();
        }
        observer.serial(files.serial_input());
        drives.attach(*qemu, [this] {
            if (!qemu || !qemu->answers() || next != Next::nothing)
                return;
            plan.stop_at_ok ? stop_at_ok() : runs();
        });
    }

    /// The guest runs since QEMU was started; how far it came meanwhile is asked.
    void runs() {
        coming_up = false;
        follow_trap();
        set_status(HostStatus::powered_on, "");
        answer_start({});
        qemu->execute("query-status", "", [this](const Result<QmpFields>& now) {
            if (now && qemu)
                on_state(now->status);
        });
    }

    void stop_at_ok() {
        coming_up = false;
        set_status(HostStatus::openboot_running, "");
        answer_start({});
        boot->enter_prompt();
    }

    void fail_start(const Fault& fault) {
        event(Severity::critical, "The host cannot start: " + fault.message);
        observer.prompt_text("\r\nThe host cannot start: " + fault.message + "\r\n");
        answer_start(fault);
        go_off(fault.message);
    }

    void answer_start(const Result<void>& result) {
        if (const Done done = std::exchange(started, nullptr))
            done(result);
    }

    // -- the end of QEMU

    /// Ends QEMU; on_ended() goes on with `what`.
    void end_qemu(Next what) {
        next = what;
        shutdown_timer.reset();
        save_record();
        qemu->end();
    }

    void on_lost(const std::string& reason) {
        drives.detach();
        if (coming_up && next == Next::nothing) { // nothing of the guest's is lost with it
            failure = Fault{FaultKind::unavailable,
                            "QEMU did not come up: " + reason + "." + last_words_of_qemu()};
            return end_qemu(Next::off);
        }
        if (status == HostStatus::unreachable || next != Next::nothing)
            return;
        event(Severity::critical, "The host is unreachable: QEMU lives, but " + reason + ".");
        boot->leave_prompt();
        set_status(HostStatus::unreachable,
                   "QEMU lives, but " + reason + "; 'stop -force' ends it.");
    }

    void on_ended(int wait_status) {
        const auto gone = std::move(qemu); // it calls us
        const Next then = std::exchange(next, Next::nothing);
        const bool at_start = std::exchange(coming_up, false);
        io.forget();
        drives.detach();
        for (Loop::Handle* timer : {&heartbeat_timer, &shutdown_timer, &reset_timer})
            timer->reset();
        observer.serial("");
        if (failure)
            return on_failed_start(*std::exchange(failure, std::nullopt));
        switch (then) {
        case Next::nothing:
            return on_unexpected_end(at_start, wait_status);
        case Next::off:
            return go_off("");
        case Next::decide:
            return begin(std::exchange(started, nullptr));
        case Next::boot:
            without_media = false;
            return launch(next_plan, std::exchange(started, nullptr));
        }
    }

    void on_unexpected_end(bool at_start, int wait_status) {
        const std::string how = how_it_ended(wait_status);
        if (at_start)
            return on_failed_start(
                {FaultKind::unavailable, "QEMU ended at once" + how + "." + last_words_of_qemu()});
        event(Severity::critical, "The host lost its power: QEMU ended unexpectedly" + how + "." +
                                      last_words_of_qemu());
        go_off("The host lost its power: QEMU ended unexpectedly" + how + ".");
    }

    /// QEMU does not start on an image that it cannot open: empty drives then, and each says what
    /// is wrong with its image.
    void on_failed_start(const Fault& fault) {
        if (drives.wanted() == PerDrive<Medium>{} || std::exchange(without_media, true))
            return fail_start(fault);
        launch(plan, std::exchange(started, nullptr));
    }

    std::string last_words_of_qemu() const {
        const auto log = read_file(files.qemu_log());
        const std::string words = log ? last_words(*log) : "";
        return words.empty() ? "" : " It said: " + words;
    }

    void go_off(const std::string& why) {
        unlink(files.runtime_record().c_str());
        coming_up = false;
        starts_again = false;
        boot->leave_prompt();
        set_status(HostStatus::powered_off, why);
        answer_start(wrong_state("The host was powered off before it was up."));
        for (const Done& done : std::exchange(stopping, {}))
            done({});
    }

    // -- what happens in the guest

    void on_event(const std::string& name, const QmpFields& data) {
        if (next != Next::nothing)
            return; // its end is under way
        if (name == "SHUTDOWN")
            on_shutdown(data.reason);
        else if (name == "RESET" && data.reason == "guest-reset")
            on_guest_reset(data.time);
        else if (name == "STOP" || name == "RESUME" || name == "SUSPEND" || name == "WAKEUP")
            check();
        else if (name == "BLOCK_IO_ERROR" && data.action == "report")
            io.reported(data.node);
        else
            drives.on_event(name, data);
    }

    /// QEMU's own word on how the host is; also in case that an event was missed.
    void check() {
        follow_trap();
        qemu->execute("query-status", "", [this](const Result<QmpFields>& now) {
            if (now)
                on_state(now->status);
        });
    }

    void on_state(const std::string& state) {
        if (next != Next::nothing || coming_up || state == "prelaunch")
            return;
        if (state == "running")
            on_running("");
        else if (state == "suspended")
            on_running("The guest sleeps.");
        else if (state == "shutdown")
            on_adopted_shutdown();
        else if (state == "io-error")
            io.examine(*qemu);
        else if (status != HostStatus::stopped || io.held()) {
            io.over(false);
            set_status(HostStatus::stopped, why_stopped(state));
            picture_ends(Severity::critical, detail);
        }
    }

    void on_running(const std::string& text) {
        io.over(true);
        if (status == HostStatus::powered_on || status == HostStatus::powering_off) {
            if (!text.empty() && text != detail)
                set_status(status, text);
            return;
        }
        set_status(shutdown_timer ? HostStatus::powering_off : HostStatus::powered_on, text);
    }

    void on_shutdown(const std::string& reason) {
        if (reason == "guest-reset")
            return on_trapped_reset();
        if (reason == "guest-shutdown")
            picture_ends(Severity::info, "The guest has shut down.");
        else if (reason == "host-signal" || reason == "host-qmp-quit")
            picture_ends(Severity::major,
                         "The host's power was cut from outside of the service processor "
                         "(" +
                             reason + ").");
        else
            picture_ends(Severity::major, "The host has stopped (" + reason + ").");
        const bool again = std::exchange(starts_again, false) && reason == "guest-shutdown";
        set_status(again ? HostStatus::restarting : HostStatus::powering_off, "");
        end_qemu(again ? Next::decide : Next::off);
    }

    /// It shut down while no lomd heard the reason.
    void on_adopted_shutdown() {
        const auto log = read_file(files.qemu_log());
        switch (log ? shutdown_cause(*log) : ShutdownCause::unknown) {
        case ShutdownCause::guest_reset:
            return on_trapped_reset();
        case ShutdownCause::guest_shutdown:
            return on_shutdown("guest-shutdown");
        case ShutdownCause::signal:
            return on_shutdown("host-signal");
        case ShutdownCause::unknown:
            return on_shutdown("no reason known");
        }
    }

    /// The next boot is not to be like the last one.
    void on_trapped_reset() {
        restart("The guest has reset the host.", std::exchange(started, nullptr));
    }

    /// The firmware may have painted over the guest's picture by now.
    void on_guest_reset(SystemTime when) {
        if (!reset_timer)
            picture_ends(Severity::info, "The guest has reset the host.", when);
        reset_timer = loop.after(reset_burst, [this] { reset_timer.reset(); });
    }

    // -- I/O errors

    void on_held(const std::string& text) {
        if (next == Next::nothing)
            set_status(HostStatus::stopped, text);
    }

    void continue_after_io_error(DriveId id) {
        drives[id].reopen([this, id](const Result<void>& opened) {
            if (opened && io.held_by(id))
                io.proceed();
        });
    }

    // -- power

    PowerState power_state() const {
        const bool on = qemu || status == HostStatus::starting || status == HostStatus::restarting;
        return on ? PowerState::on : PowerState::off;
    }

    void stop(bool force, Done done) {
        if (power_state() == PowerState::off)
            return done(wrong_state("Target already stopped"));
        if (next == Next::off)
            return done(wrong_state("Target shutdown in progress"));
        if (force || nobody_to_ask())
            return cut_power("The host is powered off.", std::move(done));
        ask_to_shut_down(false, std::move(done));
    }

    void restart_gracefully(Done done) {
        if (power_state() == PowerState::off)
            return start(std::move(done));
        if (next == Next::off)
            return done(wrong_state("Target shutdown in progress"));
        if (nobody_to_ask())
            return reset(std::move(done));
        ask_to_shut_down(true, std::move(done));
    }

    bool nobody_to_ask() const {
        return status == HostStatus::openboot_running ||
               (status == HostStatus::stopped && !io.held());
    }

    void ask_to_shut_down(bool again, Done done) {
        if (status == HostStatus::powering_off)
            return done(wrong_state("Target shutdown in progress"));
        if (status == HostStatus::starting || status == HostStatus::restarting ||
            status == HostStatus::unreachable)
            return done(wrong_state("The host does not answer now; 'stop -force' cuts its power."));
        starts_again = again;
        press_power_button(std::move(done));
    }

    void press_power_button(Done done) {
        qemu->execute("system_powerdown", "", [this, done](const Result<QmpFields>& pressed) {
            if (!pressed) {
                starts_again = false;
                return done(pressed.fault());
            }
            event(Severity::info, "The host's power button was pressed.");
            set_status(HostStatus::powering_off, "The power button was pressed at " + clock_now() +
                                                     "; waiting up to " + limit_text() +
                                                     " for the guest to shut down" +
                                                     (starts_again ? " and start again" : "") +
                                                     ". 'stop -force' cuts its power.");
            save_record();
            shutdown_timer = loop.after(environment.shutdown_limit, [this] { give_up_shutdown(); });
            done({});
        });
    }

    std::string limit_text() const {
        return std::to_string(environment.shutdown_limit.count()) + " s";
    }

    void give_up_shutdown() {
        shutdown_timer.reset();
        starts_again = false;
        save_record();
        const std::string text = "The guest did not power off within " + limit_text() +
                                 " of the power button; 'stop -force' cuts its power.";
        event(Severity::minor, text);
        if (status == HostStatus::powering_off)
            set_status(HostStatus::powered_on, text);
    }

    void cut_power(const std::string& why, Done done) {
        if (!qemu)
            return done(wrong_state("The host is being taken over; try again in a second."));
        picture_ends(Severity::info, why);
        starts_again = false;
        if (done)
            stopping.push_back(std::move(done));
        set_status(HostStatus::powering_off, "");
        end_qemu(Next::off);
    }

    void reset(Done done) {
        if (power_state() == PowerState::off)
            return done(wrong_state("Target already stopped"));
        if (next == Next::off)
            return done(wrong_state("Target shutdown in progress"));
        if (!qemu || status == HostStatus::unreachable)
            return done(wrong_state("The host does not answer now; 'stop -force' cuts its power."));
        boot->leave_prompt();
        restart("The host is reset.", std::move(done));
    }

    /// A power cycle whose boot is decided anew.
    void restart(const std::string& why, Done done) {
        if (!qemu)
            return;
        picture_ends(Severity::info, why);
        answer_start(wrong_state("The host was reset before it was up."));
        starts_again = false;
        started = std::move(done);
        set_status(HostStatus::restarting, "");
        end_qemu(Next::decide);
    }

    /// The order is on QEMU's command line and its processor never ran: a fresh process costs some
    /// 50 ms, and there is one way to boot.
    void boot_from_prompt(const BootPlan& chosen) {
        if (!qemu)
            return;
        next_plan = chosen;
        set_status(HostStatus::starting, "");
        end_qemu(Next::boot);
    }

    bool wants_trap() const { return plan.once || boot->next_boot_is_special(); }

    /// QEMU reboots the guest by itself unless the next boot is to differ from the running one.
    void follow_trap() {
        if (qemu && !coming_up)
            set_trap(wants_trap());
    }

    void set_trap(bool wanted) {
        if (!qemu->answers() || trap == wanted)
            return;
        trap = wanted;
        ++traps_on_their_way;
        qemu->execute("set-action",
                      std::string("{\"reboot\":\"") + (wanted ? "shutdown" : "reset") + "\"}",
                      [this](const Result<QmpFields>&) {
                          if (--traps_on_their_way == 0)
                              settled();
                      });
    }

    void settled() {
        settle_timer.reset();
        for (const Done& done : std::exchange(settling, {}))
            done({});
    }

    void settle_next_boot(Done done) {
        follow_trap();
        if (traps_on_their_way == 0)
            return done({});
        settling.push_back(std::move(done));
        settle_timer = loop.after(settle_limit, [this] { settled(); });
    }

    // -- the virtual drives

    void insert(DriveId id, const Medium& medium, Done done) {
        drives[id].want(medium, [this, id, done = std::move(done)](const Result<void>& result) {
            if (result && io.held_by(id))
                io.proceed();
            done(result);
        });
    }

    /// A medium is on its way into the drive.
    void set_coming(DriveId id, bool now) {
        if (!drives.set_coming(id, now))
            return;
        coming_timer.reset();
        if (drives.any_coming())
            coming_timer = loop.every(1s, [this] { boot->tick(); });
        tell_boot_of_media();
    }

    void tell_boot_of_media() { boot->set_empty_drives(drives.empty(), drives.on_their_way()); }

    void on_medium_changed() {
        tell_boot_of_media();
        if (qemu && drives.wanted() != recorded_media)
            save_record();
        observer.changed();
    }

    // -- definition

    void redefine(HostDefinition wanted, Done done) {
        if (power_state() == PowerState::on)
            return done(wrong_state("The host is on; stop it first."));
        hardware.change(std::move(wanted),
                        [this, done = std::move(done)](const Result<void>& changed) {
                            if (changed) {
                                tell_boot_of_hardware();
                                observer.changed();
                            }
                            done(changed);
                        });
    }

    void tell_boot_of_hardware() {
        boot->set_machine(hardware.definition(), boot_devices(hardware.definition()));
    }

    // -- small things

    void set_status(HostStatus now, std::string text) {
        status = now;
        detail = std::move(text);
        observer.changed();
    }

    void event(Severity severity, const std::string& text) { observer.event({severity, text, {}}); }
    void picture_ends(Severity severity, const std::string& text,
                      SystemTime when = SystemTime::clock::now()) {
        observer.event({severity, text, when});
    }

    void command(const char* name, const char* arguments, Done done) {
        if (!qemu)
            return done(wrong_state("The host is off."));
        qemu->execute(name, arguments, [done = std::move(done)](const Result<QmpFields>& answer) {
            done(answer ? Result<void>() : answer.fault());
        });
    }

    /// Without a record (a full disk) a running QEMU is still found by its socket.
    void save_record() {
        recorded_media = drives.wanted();
        (void)save_runtime_record(files.runtime_record(),
                                  {.process = qemu ? qemu->id() : ProcessId{},
                                   .next = next,
                                   .plan = next == Next::boot ? next_plan : plan,
                                   .starts_again = starts_again,
                                   .media = recorded_media});
    }

    Loop& loop;
    const HostEnvironment environment;
    const HostObserver observer;
    const HostFiles files;
    Hardware hardware;
    std::optional<BootControl> boot;
    HostStatus status = HostStatus::powered_off;
    std::string detail;

    std::unique_ptr<QemuProcess> qemu; ///< from fork or adoption to its end
    BootPlan plan;                     ///< of the running boot
    Next next = Next::nothing;         ///< what follows the end of QEMU; nothing: no end is wanted
    BootPlan next_plan;                ///< for Next::boot
    bool coming_up = false;            ///< QEMU is started, its processor and the prompt are not
    bool starts_again = false;         ///< a guest that was asked to shut down is to start again
    bool without_media = false;        ///< QEMU did not start with them
    std::optional<bool> trap;          ///< a guest's reset stops QEMU; absent: not known
    int traps_on_their_way = 0;        ///< told to QEMU, not answered
    std::vector<Done> settling;        ///< wait for that
    std::optional<Fault> failure;      ///< why QEMU is being ended before it came up
    Done started;                      ///< of start or reset
    std::string announcement;          ///< the event of a power-on, until QEMU is started
    std::vector<Done> stopping;        ///< of stop -force

    DriveBay drives;
    PerDrive<Medium> recorded_media;
    IoHold io;

    std::chrono::steady_clock::time_point straggler_deadline;
    Loop::Handle take_over_timer, heartbeat_timer, shutdown_timer, reset_timer, settle_timer,
        after_save, coming_timer;
};

Host::Host(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Host::~Host() = default;

Result<std::unique_ptr<Host>> Host::open(Loop& loop, HostEnvironment environment,
                                         const HostDefinition& initial, HostObserver observer) {
    auto impl = std::make_unique<Impl>(loop, std::move(environment), std::move(observer));
    if (const auto opened = impl->open(initial); !opened)
        return opened.fault();
    return std::unique_ptr<Host>(new Host(std::move(impl)));
}

const HostDefinition& Host::definition() const { return impl_->hardware.definition(); }
void Host::redefine(const HostDefinition& definition, Done done) {
    impl_->redefine(definition, std::move(done));
}
PowerState Host::power_state() const { return impl_->power_state(); }
HostStatus Host::status() const { return impl_->status; }
std::string Host::status_detail() const { return impl_->detail; }
bool Host::crashed() const { return impl_->status == HostStatus::stopped && !impl_->io.held(); }
void Host::start(Done done) { impl_->start(std::move(done)); }
void Host::stop(bool force, Done done) { impl_->stop(force, std::move(done)); }
void Host::settle_next_boot(Done done) { impl_->settle_next_boot(std::move(done)); }
void Host::reset(Done done) { impl_->reset(std::move(done)); }
void Host::restart_gracefully(Done done) { impl_->restart_gracefully(std::move(done)); }
void Host::inject_nmi(Done done) { impl_->command("inject-nmi", "", std::move(done)); }
void Host::send_break(Done done) {
    impl_->command("chardev-send-break", R"({"id":"serial0"})", std::move(done));
}
void Host::insert(DriveId drive, const Medium& medium, Done done) {
    impl_->insert(drive, medium, std::move(done));
}
void Host::eject(DriveId drive, Done done, bool at_once) {
    impl_->drives[drive].want({}, std::move(done), at_once);
}
bool Host::inserted(DriveId drive) const { return impl_->drives[drive].inserted(); }
bool Host::ejected_by_guest(DriveId drive) const { return impl_->drives[drive].ejected_by_guest(); }
bool Host::locked(DriveId drive) const { return impl_->drives[drive].locked(); }
void Host::continue_after_io_error(DriveId drive) { impl_->continue_after_io_error(drive); }
void Host::wait_for_source(DriveId drive, bool wait) { impl_->io.wait_for(drive, wait); }
bool Host::held_by(DriveId drive) const { return impl_->io.held_by(drive); }
void Host::set_coming(DriveId drive, bool coming) { impl_->set_coming(drive, coming); }
BootControl& Host::boot() { return *impl_->boot; }
bool Host::at_ok_prompt() const { return impl_->boot->at_prompt(); }
void Host::prompt_input(std::string_view bytes) { impl_->boot->input(bytes); }

} // namespace lom::vmm
