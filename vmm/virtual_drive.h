// The medium in one of a host's virtual drives: what is wanted there, and the QMP steps that make
// it so. One thing at a time; what was wanted meanwhile comes next. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "vmm/medium.h"
#include "vmm/qemu_process.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom::vmm {

class VirtualDrive {
  public:
    using Done = std::function<void(const Result<void>&)>;
    struct Handlers {
        std::function<void()> changed;                            ///< wanted() or inserted()
        std::function<void(const std::string& sentence)> trouble; ///< that nobody waits for
        /// The drive's content has changed: a guest that an I/O error holds may run on.
        std::function<void()> proceed;
    };

    VirtualDrive(Loop& loop, DriveId id, Handlers handlers);

    /// What the drive is to hold from now on, over power cycles. `done` when the guest can see it,
    /// or at once while the host is off. A file that is there already is opened anew, unseen by the
    /// guest: it may have been mounted anew.
    /// A guest that has locked the tray is asked to open it, for as long as it takes: locked().
    /// `at_once`: what is in the drive is taken out without asking the guest.
    void want(const Medium& medium, Done done, bool at_once = false);
    const Medium& wanted() const { return wanted_; }
    /// False also when the guest itself has opened the tray.
    bool inserted() const { return present_.present() && !tray_open_; }
    /// The guest has opened the tray, with the wanted medium in it.
    bool ejected_by_guest() const { return present_.present() && tray_open_ && !busy_; }
    /// The guest does not open the tray that it has locked; it was asked seconds ago.
    bool locked() const { return locked_; }
    /// The wanted file can be read again: opens it anew.
    void reopen(Done done);

    /// QEMU answers; what its drive holds is asked. `done` when it holds what is wanted, or cannot.
    void attach(QemuProcess& qemu, std::function<void()> done);
    void detach(); ///< QEMU is gone or lost
    void on_tray_moved(bool open);
    void on_unplugged();

  private:
    struct Step {
        std::string command;
        std::string arguments;
        bool may_fail = false;
    };
    using Steps = std::vector<Step>;

    void look(const std::function<void()>& then);
    bool unsettled() const;
    void work();
    void insert();
    Steps insertion() const;
    void open_anew();
    void ask_guest_to_eject();
    void request_eject();
    void stop_asking();
    void take_out();
    void unplug();
    void is_out();
    void settle(const Result<void>& result);
    void run(std::shared_ptr<const Steps> steps, std::size_t next, const Done& done);
    void start(Steps steps, Done done);
    std::string new_node();
    std::string on_device(const std::string& more = "") const;
    std::string file_options(const Medium& medium) const;
    static Step forget(const std::string& node);
    void forget_nodes(Steps& steps);

    Loop& loop_;
    const DriveTraits& traits_;
    Handlers handlers_;
    QemuProcess* qemu_ = nullptr;
    Medium wanted_;
    Medium present_;                 ///< in the drive
    std::string medium_;             ///< its node
    std::vector<std::string> nodes_; ///< ours in QEMU, oldest first
    unsigned last_node_ = 0;
    bool tray_open_ = false;
    bool busy_ = false;
    bool reopen_ = false;  ///< wanted
    bool refused_ = false; ///< QEMU could not open the wanted file; until it is wanted again
    bool at_once_ = false; ///< the guest is not asked
    bool asking_ = false;  ///< the guest has locked the tray and is asked to open it
    bool locked_ = false;  ///< and has not done so for a while
    bool close_ = false;   ///< a tray that the guest has opened is wanted closed
    bool unplugging_ = false;
    Loop::Handle patience_;
    std::vector<Done> waiting_;
    std::shared_ptr<bool> session_; ///< dies with the QEMU whose answers are awaited
};

} // namespace lom::vmm
