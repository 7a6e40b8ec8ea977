// One host: its QEMU process, power state machine, boot control and virtual CD. It knows nothing of
// the target tree. Loop thread only; nothing here blocks.
//
// Every boot (power-on, reset, and a guest reboot whose boot differs from the last) is a fresh QEMU
// process whose command line carries the boot order; QEMU outlives us and is adopted by the next
// lomd from the runtime record (pid + start time + sockets) in the host's folder.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "vmm/boot_control.h"
#include "vmm/definition.h"
#include "vmm/medium.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace lom::vmm {

enum class PowerState { off, on };

/// Words of ILOM's /HOST status where it has them; the text is host_status_text().
enum class HostStatus {
    powered_off,      ///< "Powered Off"
    starting,         ///< "Starting": QEMU is being started
    openboot_running, ///< "OpenBoot Running": at the ok prompt, the virtual CPU has not started
    powered_on,       ///< "Powered On": firmware or guest runs
    powering_off,     ///< "Powering Off": ACPI power button pressed, waiting for the guest
    restarting,       ///< "Restarting"
    stopped,          ///< "Host stopped": panic, internal error, disk error: see status_detail
    unreachable,      ///< "Unreachable": QEMU lives but does not answer; only stop -force ends it
};
const char* host_status_text(HostStatus status);

enum class Severity { info, minor, major, critical };

struct HostEvent {
    Severity severity = Severity::info;
    std::string text; ///< a sentence for the event log
    /// When the guest's picture ended with it: a reset, a panic, the power.
    std::optional<std::chrono::system_clock::time_point> ends_picture;
};

/// Where a host lives and what it may use; the same for its whole life.
struct HostEnvironment {
    std::string dir;     ///< D/hosts/<name>: disks, NVRAM, console log, runtime record; made 0700
    std::string run_dir; ///< R/hosts/<name>: sockets (short path: unix sockets allow 107 bytes)
    std::string qemu = "qemu-system-x86_64";
    Acceleration acceleration = Acceleration::tcg; ///< chosen by the probe
    /// Account and group of QEMU, this host's alone; needs root. Absent: ours.
    std::optional<uid_t> qemu_uid;
    std::vector<gid_t> qemu_groups; ///< besides: whoever reads the library's images
    /// How long a guest may take to shut down after `stop` before it is said that it did not.
    std::chrono::seconds shutdown_limit{60};
};

struct HostObserver {
    std::function<void()> changed; ///< anything that show would print
    std::function<void(const HostEvent&)> event;
    std::function<void(std::string_view)> prompt_text; ///< what OpenBoot prints on the console
    /// The FIFO that QEMU reads serial input from, from now on; empty: there is none. Its output
    /// is console.log in the host's folder.
    std::function<void(const std::string& fifo)> serial;
};

class Host {
  public:
    using Done = std::function<void(Result<void>)>;

    /// Loads or makes the host's files and adopts a QEMU that still runs (asynchronously: status is
    /// `starting` until its QMP answered or 2 s have passed, then `unreachable`). A reset or boot
    /// that the last lomd had begun is completed.
    static Result<std::unique_ptr<Host>> open(Loop& loop, HostEnvironment environment,
                                              const HostDefinition& initial, HostObserver observer);
    ~Host(); ///< leaves QEMU running; outstanding Done callbacks never come

    const HostDefinition& definition() const;
    /// Refused while the host is on (wrong_state), or when check_definition refuses. Durable when
    /// it returns. Makes and deletes the qcow2 files of disks that come and go.
    void redefine(const HostDefinition& definition, Done done);

    PowerState power_state() const;
    HostStatus status() const;
    std::string status_detail() const; ///< a sentence or empty
    /// The guest cannot go on by itself: it has panicked, or KVM cannot run its code.
    bool crashed() const;

    void start(Done done);            ///< done when the guest runs or is at ok
    void stop(bool force, Done done); ///< graceful: done when the ACPI button is pressed
    void reset(Done done);            ///< as start; a power cycle, as ILOM's
    /// done when the button is pressed; a guest that has shut down by it starts again. A host that
    /// is off is started, one with nobody to ask is reset.
    void restart_gracefully(Done done);
    void inject_nmi(Done done);
    void send_break(Done done); ///< serial break to ttyS0

    /// The image in a virtual drive, kept over power cycles. done when the guest can see (or no
    /// longer see) it. eject asks a guest that has locked its tray, and waits for it as long as it
    /// takes; `at_once` does not ask.
    void insert(DriveId drive, const Medium& medium, Done done);
    void eject(DriveId drive, Done done, bool at_once = false);
    bool inserted(DriveId drive) const; ///< false also when the guest itself ejected it
    bool ejected_by_guest(DriveId drive) const;
    bool locked(DriveId drive) const; ///< the guest was asked to give it back, and does not
    /// The drive is empty, but may soon hold a medium: `boot cdrom` at the ok prompt waits for it.
    void set_coming(DriveId drive, bool coming);
    /// The image's source is back: opens the file anew and continues a guest that QEMU holds on an
    /// I/O error of the drive.
    void continue_after_io_error(DriveId drive);
    /// Whether a guest whose image cannot be read now is held until it can, or gets an I/O error.
    void wait_for_source(DriveId drive, bool wait);
    bool held_by(DriveId drive) const;

    /// done when what was set for the next boot holds even if the guest reboots at that moment; at
    /// the latest after 2 s.
    void settle_next_boot(Done done);
    BootControl& boot(); ///< NVRAM, bootmode, boot_device; see boot_control.h
    bool at_ok_prompt() const;
    void prompt_input(std::string_view bytes); ///< console input while at the ok prompt

  private:
    struct Impl;
    explicit Host(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::vmm
