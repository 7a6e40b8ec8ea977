#include "vmm/host.h"

#include "base/files.h"
#include "base/process.h"
#include "vmm/command_line.h"
#include "vmm/qmp.h"
#include "vmm/runtime_record.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto greeting_limit = 5s;
constexpr auto adoption_limit = 2s;
constexpr auto shutdown_limit = 60s; // for a guest that was asked by the ACPI power button
constexpr auto quit_limit = 2s;      // then QEMU is killed
constexpr auto eject_request_limit = 5s;
constexpr auto reset_burst = 1s; // SeaBIOS resets up to three times for one reset of the guest

Fault wrong_state(std::string message) { return {FaultKind::wrong_state, std::move(message)}; }

std::string random_uuid() {
    std::random_device random;
    std::string text = "xxxxxxxx-xxxx-4xxx-axxx-xxxxxxxxxxxx";
    for (char& c : text)
        if (c == 'x')
            c = "0123456789abcdef"[random() & 15U];
    return text;
}

/// What a new host is given once and keeps: uuid, serial number, hardware addresses.
void complete(HostDefinition& definition) {
    Identity& identity = definition.identity;
    if (identity.uuid.empty())
        identity.uuid = random_uuid();
    if (identity.serial_number.empty()) {
        identity.serial_number = "OL" + identity.uuid.substr(24);
        std::transform(identity.serial_number.begin(), identity.serial_number.end(),
                       identity.serial_number.begin(),
                       [](char c) { return static_cast<char>(std::toupper(c)); });
    }
    int index = 1;
    for (Nic& nic : definition.nics) {
        if (nic.mac.empty())
            nic.mac = "02:00:5e:" + identity.uuid.substr(24, 2) + ":" +
                      identity.uuid.substr(26, 2) + ":0" + std::to_string(index);
        ++index;
    }
}

/// The end of QEMU's own log: what it said last.
std::string last_log_line(const std::string& path) {
    std::ifstream file(path);
    file.seekg(0, std::ios::end);
    const auto size = static_cast<std::streamoff>(file.tellg());
    file.seekg(std::max<std::streamoff>(size - 4096, 0));
    std::string line, last;
    while (std::getline(file, line))
        if (!line.empty() && line.find("qemu_system_shutdown_request") == std::string::npos)
            last = line;
    return last.substr(0, 500);
}

/// The reason that QEMU traced for its last stop: its ShutdownCause as a number, or -1.
int traced_shutdown_reason(const std::string& path) {
    const auto text = read_file(path);
    const std::size_t at =
        text ? text->rfind("qemu_system_shutdown_request reason=") : std::string::npos;
    return at == std::string::npos ? -1 : std::atoi(text->c_str() + at + 36);
}

// QEMU's ShutdownCause (qapi/run-state.json), in its order.
constexpr int cause_guest_shutdown = 5;
constexpr int cause_guest_reset = 6;

std::string how_it_ended(int status) {
    if (status == -1)
        return "";
    if (WIFSIGNALED(status))
        return std::string(" (signal ") + strsignal(WTERMSIG(status)) + ")";
    return WEXITSTATUS(status) == 0 ? ""
                                    : " (exit status " + std::to_string(WEXITSTATUS(status)) + ")";
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
          observer(std::move(observer_in)), files{environment.dir, environment.run_dir} {}

    // -- opening

    Result<void> open(const HostDefinition& initial) {
        if (const auto loaded = load_definition(initial); !loaded)
            return loaded;
        BootState state;
        if (const auto text = read_file(files.boot_state()))
            if (const auto read = boot_state_from_json(*text))
                state = *read;
        boot.emplace(
            std::move(state), [this](const BootState& changed) { return save_boot(changed); },
            [] { return std::chrono::system_clock::now(); },
            BootControl::Actions{
                .boot = [this](const BootPlan& plan) { boot_from_prompt(plan); },
                .reset_all = [this] { restart("OpenBoot reset-all"); },
                .power_off = [this] { power_off_from_prompt(); },
                .print = [this](std::string_view text) { observer.prompt_text(text); }});
        boot->set_machine(definition, boot_devices(definition));
        adopt();
        return {};
    }

    Result<void> load_definition(const HostDefinition& initial) {
        const auto text = read_file(files.definition());
        if (!text) {
            definition = initial;
            complete(definition);
            for (const Disk& disk : definition.disks)
                if (const auto made = make_first_disk(disk); !made)
                    return made;
            return write_file_durably(files.definition(), definition_to_json(definition), 0600);
        }
        auto stored = definition_from_json(*text);
        if (!stored)
            return stored.fault();
        definition = std::move(*stored);
        return {};
    }

    /// Waits for the tool: once in a host's life, before the loop runs.
    Result<void> make_first_disk(const Disk& disk) {
        const auto tool = spawn(disk_tool(disk));
        if (!tool)
            return tool.fault();
        int code = 0;
        waitpid(tool->pid, &code, 0);
        return code == 0 ? Result<void>() : disk_fault();
    }

    SpawnOptions disk_tool(const Disk& disk) const {
        return {.argv = {"qemu-img", "create", "-q", "-f", "qcow2", files.disk(disk.name),
                         std::to_string(disk.size)},
                .stderr_path = files.disk_log()};
    }

    Fault disk_fault() const {
        return {FaultKind::unavailable,
                "The disk cannot be made: " + last_log_line(files.disk_log())};
    }

    Result<void> save_boot(const BootState& changed) {
        const auto saved =
            write_file_durably(files.boot_state(), boot_state_to_json(changed), 0600);
        // After the caller has taken the new state over.
        loop.post([this, weak = std::weak_ptr(life)] {
            if (!weak.expired()) {
                follow_trap();
                observer.changed();
            }
        });
        return saved;
    }

    /// A QEMU that an earlier lomd started: connect to it, ask how it is. Never kill it.
    void adopt() {
        const auto record = load_runtime_record(files.runtime_record());
        if (!record)
            return;
        if (!is_alive(record->process)) {
            unlink(files.runtime_record().c_str());
            if (!record->intent)
                event(Severity::major, "The host lost its power while the service processor was "
                                       "away.");
            return;
        }
        process = record->process;
        running_plan.once = record->once;
        set_status(HostStatus::starting, "Taking over the running host.");
        watch_process();
        connect_qmp(adoption_limit, [this] { examine_adopted(); });
    }

    void examine_adopted() {
        // A medium is looked for first: inserting it again would disturb the guest.
        qmp->execute("query-block", "", [this](const Result<QmpFields>& answer) {
            if (answer)
                cd_file = inserted_file(answer->json, "cd0");
            cd_known = true;
            qmp->execute("query-status", "", [this](const Result<QmpFields>& status_now) {
                if (!status_now)
                    return lose_contact("QEMU did not say how the host is.");
                observer.serial(files.serial_input());
                take_up(status_now->status);
                apply_cd();
            });
        });
    }

    void take_up(const std::string& state) {
        if (state == "running")
            return set_status(HostStatus::powered_on, "");
        if (state == "prelaunch")
            return enter_prompt();
        if (state == "shutdown") {
            const int cause = traced_shutdown_reason(files.qemu_log());
            return on_shutdown(cause == cause_guest_reset      ? "guest-reset"
                               : cause == cause_guest_shutdown ? "guest-shutdown"
                                                               : "");
        }
        set_stopped(state);
    }

    // -- starting and ending QEMU

    void start(Done done) {
        if (power_state() == PowerState::on)
            return done(wrong_state("Target already started"));
        begin(std::move(done));
    }

    void begin(Done done) {
        const BootPlan plan = boot->begin_boot();
        launch(plan, std::move(done));
    }

    void launch(const BootPlan& plan, Done done) {
        if (plan.power_off) { // the script's own word
            set_status(HostStatus::powered_off, "The boot script powered the host off.");
            return done({});
        }
        running_plan = plan;
        started = std::move(done);
        tray_open = false;
        cd_file.clear();
        set_status(HostStatus::starting, "");
        trap = plan.once || boot->next_boot_is_special();
        if (const auto prepared = prepare_files(); !prepared)
            return fail_start(prepared.fault());
        // The intent first: a lomd that dies right after the fork leaves a trace of it.
        save_runtime_record(files.runtime_record(), {{}, plan.once, true});
        const auto spawned =
            spawn({.argv = command_line(
                       definition, files,
                       {environment.qemu, environment.acceleration, plan, readable_cd(), trap}),
                   .stderr_path = files.qemu_log()});
        if (!spawned)
            return fail_start(spawned.fault());
        process = *spawned;
        cd_file = readable_cd();
        save_runtime_record(files.runtime_record(), {*process, plan.once, false});
        watch_process();
        connect_qmp(greeting_limit, [this] { on_qmp_ready(); });
    }

    /// The medium for the command line. QEMU refuses to start on a file that it cannot open; the
    /// host then starts with an empty tray.
    std::string readable_cd() const {
        return wanted_cd.empty() || access(wanted_cd.c_str(), R_OK) != 0 ? "" : wanted_cd;
    }

    Result<void> prepare_files() {
        for (const std::string& path : {files.qmp(), files.second_qmp(), files.serial_input(),
                                        files.serial_output(), files.vnc()})
            unlink(path.c_str());
        if (mkfifo(files.serial_input().c_str(), 0600) < 0 ||
            symlink("/dev/null", files.serial_output().c_str()) < 0)
            return Fault{FaultKind::internal, "The serial port cannot be made in " +
                                                  environment.run_dir + ": " +
                                                  std::strerror(errno)};
        // One machine's log: bounded by starting anew, the last one is kept.
        rename(files.qemu_log().c_str(), (files.qemu_log() + ".1").c_str());
        if (definition.firmware == Firmware::uefi &&
            access(files.uefi_variables().c_str(), F_OK) != 0) {
            const auto variables = read_file(uefi_variables_template);
            if (!variables)
                return Fault{FaultKind::unavailable, "UEFI firmware is not installed; install the "
                                                     "package ovmf, or set firmware=bios."};
            return write_file_durably(files.uefi_variables(), *variables, 0600);
        }
        return {};
    }

    void fail_start(const Fault& fault) {
        unlink(files.runtime_record().c_str());
        process.reset();
        set_status(HostStatus::powered_off, fault.message);
        event(Severity::critical, "The host cannot start: " + fault.message);
        answer_start(fault);
    }

    void answer_start(const Result<void>& result) {
        if (started)
            std::exchange(started, nullptr)(result);
    }

    void watch_process() {
        exit_watch = loop.on_exit(process->pid, [this](int status_code) { on_exit(status_code); });
    }

    void connect_qmp(std::chrono::milliseconds limit, std::function<void()> ready) {
        cd_known = false;
        qmp = std::make_unique<Qmp>(
            loop, files.qmp(), limit,
            Qmp::Handlers{.ready = std::move(ready),
                          .event = [this](const std::string& name,
                                          const QmpFields& data) { on_event(name, data); },
                          .closed = [this](const std::string& why) { on_qmp_closed(why); }});
    }

    void on_qmp_ready() {
        observer.serial(files.serial_input());
        cd_known = true;
        apply_cd([this](const Result<void>& inserted) {
            if (!qmp)
                return;
            if (!inserted)
                event(Severity::major, inserted.fault().message);
            if (running_plan.stop_at_ok) {
                answer_start({});
                return enter_prompt();
            }
            qmp->execute("cont", "", [this](const Result<QmpFields>& done) {
                if (!done)
                    return;
                set_status(HostStatus::powered_on, "");
                answer_start({});
            });
        });
    }

    void enter_prompt() {
        set_status(HostStatus::openboot_running, "");
        boot->enter_prompt(); // may act at once on what was typed ahead
        observer.changed();
    }

    /// QEMU lives but its monitor went away or talks nonsense.
    void on_qmp_closed(const std::string& reason) {
        // QEMU's exit closes its monitor a moment before we hear of the exit itself.
        contact_timer = loop.after(300ms, [this, reason] {
            if (process)
                lose_contact(reason);
        });
    }

    void lose_contact(const std::string& reason) {
        qmp.reset();
        if (started) { // it never came up: nothing of the guest's is lost with it
            const Fault fault{FaultKind::unavailable, "QEMU did not come up: " + reason + ". " +
                                                          last_log_line(files.qemu_log())};
            send_signal(*process, SIGKILL);
            answer_start(fault);
            return;
        }
        set_status(HostStatus::unreachable,
                   "QEMU does not answer (" + reason + "); 'stop -force' ends it.");
        event(Severity::critical, "The host is unreachable: " + reason + ".");
        qmp_retry = loop.after(5s, [this] {
            if (process && !qmp)
                connect_qmp(adoption_limit, [this] { examine_adopted(); });
        });
    }

    /// Ends QEMU, then calls `then` (or is off).
    void end_process(std::function<void()> then) {
        after_exit = std::move(then);
        ending = true;
        shutdown_timer.reset();
        if (qmp)
            qmp->execute("quit", "", [](const Result<QmpFields>&) {});
        kill_timer = loop.after(qmp ? quit_limit : 0ms, [this] {
            if (process)
                send_signal(*process, SIGKILL);
        });
    }

    void on_exit(int status_code) {
        const bool expected = std::exchange(ending, false);
        forget_process();
        if (started && !expected)
            return fail_start({FaultKind::unavailable, "QEMU ended at once" +
                                                           how_it_ended(status_code) + ": " +
                                                           last_log_line(files.qemu_log())});
        if (!expected)
            event(Severity::critical, "The host lost its power: QEMU ended unexpectedly" +
                                          how_it_ended(status_code) + ".");
        if (after_exit)
            return std::exchange(after_exit, nullptr)();
        boot->leave_prompt();
        set_status(HostStatus::powered_off, "");
    }

    void forget_process() {
        unlink(files.runtime_record().c_str());
        process.reset();
        exit_watch.reset();
        qmp.reset();
        kill_timer.reset();
        shutdown_timer.reset();
        contact_timer.reset();
        qmp_retry.reset();
        reset_timer.reset();
        observer.serial("");
        cd_file.clear();
    }

    // -- what happens in the guest

    void on_event(const std::string& name, const QmpFields& data) {
        if (name == "SHUTDOWN")
            return on_shutdown(data.reason);
        if (name == "RESET" && data.reason == "guest-reset")
            return on_guest_reset();
        if (name == "RESUME" && status != HostStatus::powering_off)
            return set_status(HostStatus::powered_on, "");
        if (name == "STOP")
            return on_stop();
        if (name == "GUEST_PANICKED")
            return event(Severity::critical, "The guest has panicked.");
        if (name == "WATCHDOG")
            return event(Severity::major, "The host's watchdog has expired.");
        if (name == "DEVICE_TRAY_MOVED" && data.id == "cd0")
            tray_open = data.tray_open;
        if (name == "BLOCK_IO_ERROR")
            on_io_error(data);
    }

    void on_shutdown(const std::string& reason) {
        if (ending)
            return; // our own quit
        if (reason == "guest-reset") {
            event(Severity::info, "The guest has reset the host.");
            return end_process([this] { relaunch(); });
        }
        event(Severity::info,
              reason == "guest-shutdown" ? "The guest has shut down." : "The host was shut down.");
        end_process(nullptr);
    }

    void on_guest_reset() {
        if (!reset_timer) {
            event(Severity::info, "The guest has reset the host.");
            observer.changed();
        }
        reset_timer = loop.after(reset_burst, [this] { reset_timer.reset(); });
    }

    void on_stop() {
        qmp->execute("query-status", "", [this](const Result<QmpFields>& now) {
            if (now && !ending && now->status != "shutdown" && now->status != "running" &&
                now->status != "prelaunch")
                set_stopped(now->status);
        });
    }

    void set_stopped(const std::string& state) {
        io_error = state == "io-error";
        const std::string text =
            state == "guest-panicked" ? "The guest has panicked; reset or stop it."
            : state == "internal-error"
                ? "KVM gave up on the guest's code; run it emulated, or stop it."
            : io_error            ? "A disk or image cannot be read or written; the host goes on "
                                    "when it can."
            : state == "watchdog" ? "The watchdog has stopped the host; reset or stop it."
                                  : "The host is paused (" + state + ").";
        set_status(HostStatus::stopped, text);
        if (!io_error)
            event(Severity::critical, text);
    }

    void on_io_error(const QmpFields& data) {
        // One event per stop: QEMU may report each of many requests.
        if (status == HostStatus::stopped)
            return;
        event(Severity::major, data.nospace
                                   ? "The host waits: the disk that holds its image is full."
                                   : "The host waits: an image cannot be read or written.");
    }

    void continue_after_io_error() {
        if (io_error && qmp) {
            io_error = false;
            qmp->execute("cont", "", [](const Result<QmpFields>&) {});
        }
    }

    // -- power

    PowerState power_state() const {
        return process || status == HostStatus::starting || status == HostStatus::restarting
                   ? PowerState::on
                   : PowerState::off;
    }

    void stop(bool force, Done done) {
        if (power_state() == PowerState::off)
            return done(wrong_state("Target already stopped"));
        const bool cpu_never_ran = boot->at_prompt();
        if (force || cpu_never_ran) {
            event(Severity::info, "The host is powered off.");
            end_process(nullptr);
            return done({});
        }
        if (status == HostStatus::powering_off)
            return done(wrong_state("Target shutdown in progress"));
        if (!qmp || status == HostStatus::starting)
            return done(wrong_state("The host does not answer now; use 'stop -force' to cut its "
                                    "power."));
        qmp->execute("system_powerdown", "", [this, done](const Result<QmpFields>& pressed) {
            if (!pressed)
                return done(pressed.fault());
            set_status(
                HostStatus::powering_off,
                "The ACPI power button was pressed; waiting up to 60 s for the guest to shut "
                "down.");
            shutdown_timer = loop.after(shutdown_limit, [this] { give_up_shutdown(); });
            done({});
        });
    }

    void give_up_shutdown() {
        if (status != HostStatus::powering_off)
            return;
        set_status(
            HostStatus::powered_on,
            "The guest did not shut down within 60 s of the ACPI power button; 'stop -force' "
            "cuts its power.");
        event(Severity::minor, detail);
    }

    void reset(Done done) {
        if (power_state() == PowerState::off)
            return done(wrong_state("Target already stopped"));
        boot->leave_prompt();
        restart("The host is reset.");
        done({});
    }

    void restart(const std::string& why) {
        event(Severity::info, why);
        end_process([this] { relaunch(); });
        set_status(HostStatus::restarting, "");
    }

    void relaunch() {
        begin([](const Result<void>&) {});
    }

    void boot_from_prompt(const BootPlan& plan) {
        // The order is on the command line and the processor never ran: a fresh process costs
        // some 50 ms, and there is one way to boot.
        end_process([this, plan] { launch(plan, [](const Result<void>&) {}); });
        set_status(HostStatus::starting, "");
    }

    void power_off_from_prompt() {
        event(Severity::info, "OpenBoot power-off");
        end_process(nullptr);
    }

    /// QEMU reboots the guest by itself unless something is set for the next boot.
    void follow_trap() {
        const bool wanted = running_plan.once || boot->next_boot_is_special();
        if (!qmp || !process || wanted == trap)
            return;
        trap = wanted;
        qmp->execute("set-action",
                     std::string("{\"reboot\":\"") + (wanted ? "shutdown" : "reset") + "\"}",
                     [](const Result<QmpFields>&) {});
    }

    // -- the virtual CD

    void insert_cd(const std::string& file, Done done) {
        wanted_cd = file;
        boot->set_medium(true);
        apply_cd(std::move(done));
    }

    /// Makes the drive hold what is wanted. Nothing to do while there is no QEMU, or before it is
    /// known what its drive holds: then it is done later.
    void apply_cd(Done done = [](const Result<void>&) {}) {
        if (!qmp || !process || !cd_known || wanted_cd.empty() || !cd_file.empty())
            return done({});
        qmp->execute(
            "blockdev-change-medium",
            "{\"id\":\"cd0\",\"format\":\"raw\",\"read-only-mode\":\"read-only\",\"force\":"
            "true,\"filename\":" +
                json_text(wanted_cd) + "}",
            [this, done = std::move(done)](const Result<QmpFields>& inserted) {
                if (!inserted)
                    return done(Fault{FaultKind::unavailable,
                                      "QEMU cannot insert the image: " + inserted.fault().message});
                cd_file = wanted_cd;
                tray_open = false;
                done({});
            });
    }

    void eject_cd(Done done) {
        wanted_cd.clear();
        boot->set_medium(false);
        if (!qmp || cd_file.empty())
            return done({});
        cd_file.clear();
        // Without force: a guest that has locked its tray is asked first.
        qmp->execute("eject", R"({"id":"cd0","force":false})",
                     [this, done](const Result<QmpFields>& ejected) {
                         if (ejected || !qmp)
                             return finish_eject(done);
                         qmp->execute("blockdev-open-tray", R"({"id":"cd0","force":false})",
                                      [](const Result<QmpFields>&) {});
                         eject_timer =
                             loop.after(eject_request_limit, [this, done] { force_eject(done); });
                     });
    }

    void force_eject(const Done& done) {
        if (!qmp)
            return done({});
        qmp->execute("eject", R"({"id":"cd0","force":true})",
                     [this, done](const Result<QmpFields>&) { finish_eject(done); });
    }

    void finish_eject(const Done& done) {
        if (qmp) // the node of the command line; it is not there when the medium came later
            qmp->execute("blockdev-del", R"({"node-name":"cd-image"})",
                         [](const Result<QmpFields>&) {});
        continue_after_io_error(); // the guest now reads an empty drive, at once
        done({});
    }

    // -- definition

    void redefine(const HostDefinition& wanted, Done done) {
        if (power_state() == PowerState::on)
            return done(wrong_state("The host is on; stop it first."));
        if (const auto fine = check_definition(wanted); !fine)
            return done(fine);
        for (const Disk& disk : wanted.disks)
            if (!has_disk(definition, disk.name))
                return create_disk(disk, wanted, std::move(done));
        done(adopt_definition(wanted));
    }

    static bool has_disk(const HostDefinition& in, const std::string& name) {
        return std::any_of(in.disks.begin(), in.disks.end(),
                           [&](const Disk& disk) { return disk.name == name; });
    }

    void create_disk(const Disk& disk, const HostDefinition& wanted, Done done) {
        unlink(files.disk_log().c_str());
        const auto tool = spawn(disk_tool(disk));
        if (!tool)
            return done(tool.fault());
        disk_watch = loop.on_exit(tool->pid, [this, wanted, done, name = disk.name](int code) {
            if (code == 0)
                return done(adopt_definition(wanted));
            unlink(files.disk(name).c_str());
            done(disk_fault());
        });
    }

    Result<void> adopt_definition(const HostDefinition& wanted) {
        const auto saved = write_file_durably(files.definition(), definition_to_json(wanted), 0600);
        if (!saved)
            return saved;
        for (const Disk& disk : definition.disks)
            if (!has_disk(wanted, disk.name))
                unlink(files.disk(disk.name).c_str());
        definition = wanted;
        boot->set_machine(definition, boot_devices(definition));
        observer.changed();
        return {};
    }

    // -- small things

    void set_status(HostStatus now, std::string text) {
        status = now;
        detail = std::move(text);
        if (now != HostStatus::stopped)
            io_error = false;
        observer.changed();
    }

    void event(Severity severity, const std::string& text) { observer.event({severity, text}); }

    void simple_command(const char* command, const char* arguments, Done done) {
        if (!qmp || !process)
            return done(wrong_state("The host is off."));
        qmp->execute(command, arguments, [done = std::move(done)](const Result<QmpFields>& answer) {
            done(answer ? Result<void>() : answer.fault());
        });
    }

    Loop& loop;
    HostEnvironment environment;
    HostObserver observer;
    HostFiles files;
    HostDefinition definition;
    std::optional<BootControl> boot;
    HostStatus status = HostStatus::powered_off;
    std::string detail;

    std::optional<ProcessId> process;
    std::unique_ptr<Qmp> qmp;
    BootPlan running_plan;
    bool trap = false;   ///< QEMU stops at a guest reboot
    bool ending = false; ///< we asked QEMU to end
    bool io_error = false;
    bool tray_open = false;
    std::string wanted_cd;
    std::string cd_file;   ///< in the drive now
    bool cd_known = false; ///< cd_file is what QEMU has
    Done started;
    std::function<void()> after_exit;

    Loop::Handle exit_watch, kill_timer, shutdown_timer, contact_timer, qmp_retry, reset_timer,
        eject_timer, disk_watch;
    std::shared_ptr<bool> life = std::make_shared<bool>(true);
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

const HostDefinition& Host::definition() const { return impl_->definition; }
void Host::redefine(const HostDefinition& definition, Done done) {
    impl_->redefine(definition, std::move(done));
}
PowerState Host::power_state() const { return impl_->power_state(); }
HostStatus Host::status() const { return impl_->status; }
std::string Host::status_detail() const { return impl_->detail; }
void Host::start(Done done) { impl_->start(std::move(done)); }
void Host::stop(bool force, Done done) { impl_->stop(force, std::move(done)); }
void Host::reset(bool /*force*/, Done done) { impl_->reset(std::move(done)); }
void Host::inject_nmi(Done done) { impl_->simple_command("inject-nmi", "", std::move(done)); }
void Host::send_break(Done done) {
    impl_->simple_command("chardev-send-break", R"({"id":"serial0"})", std::move(done));
}
void Host::insert_cd(const std::string& file, Done done) {
    impl_->insert_cd(file, std::move(done));
}
void Host::eject_cd(Done done) { impl_->eject_cd(std::move(done)); }
bool Host::cd_inserted() const { return !impl_->cd_file.empty() && !impl_->tray_open; }
void Host::continue_after_io_error() { impl_->continue_after_io_error(); }
BootControl& Host::boot() { return *impl_->boot; }
bool Host::at_ok_prompt() const {
    return impl_->boot->at_prompt() && impl_->status == HostStatus::openboot_running;
}
void Host::prompt_input(std::string_view bytes) { impl_->boot->input(bytes); }

} // namespace lom::vmm
