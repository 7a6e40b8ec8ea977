// A guest that QEMU holds because a drive could not be read or written: which drive it waits for,
// what the event log is told, and when QEMU tries again. Its Host asks it on QEMU's word
// "io-error". Loop thread only.
#pragma once

#include "base/loop.h"
#include "vmm/host.h"
#include "vmm/medium.h"
#include "vmm/qemu_process.h"
#include "vmm/qmp.h"

#include <functional>
#include <memory>
#include <string>

namespace lom::vmm {

class IoHold {
  public:
    struct Handlers {
        std::function<void(const std::string& sentence)> held; ///< the guest stands still
        std::function<void(Severity, const std::string& sentence)> event;
        /// The drive's image has a source that may come back.
        std::function<bool(DriveId)> has_source;
    };

    IoHold(Loop& loop, Handlers handlers);

    /// QEMU says that it holds the guest: finds out what for. Any number of times.
    void examine(QemuProcess& qemu);
    /// The guest runs, or stands still for another reason.
    void over(bool runs);
    /// QEMU is gone.
    void forget();
    /// An I/O error that QEMU gave to the guest.
    void reported(const std::string& node);

    bool held() const { return by_ != By::nobody; }
    bool held_by(DriveId drive) const { return by_ == By::medium && medium_ == drive; }
    /// QEMU tries again what failed.
    void proceed();
    /// Whether a guest waits for the source of the drive's image. If not, its reads fail: whoever
    /// is held is let go.
    void wait_for(DriveId drive, bool wait);

  private:
    enum class By { nobody, medium, disk };
    void hold(const QmpDrive& drive);
    std::string disk_sentence(const QmpDrive& drive) const;
    void tell(const std::string& sentence);

    Loop& loop_;
    Handlers handlers_;
    QemuProcess* qemu_ = nullptr;
    By by_ = By::nobody;
    DriveId medium_ = DriveId::cd; ///< of By::medium
    PerDrive<bool> wait_ = {true, true, true};
    std::string told_; ///< in the event log, and maybe not over yet
    bool told_of_errors_ = false;
    Loop::Handle retry_, calm_, errors_calm_;
    std::shared_ptr<bool> session_; ///< dies with the QEMU whose answers are awaited
};

} // namespace lom::vmm
