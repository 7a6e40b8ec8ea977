// All virtual drives of a host. Loop thread only.
#pragma once

#include "base/loop.h"
#include "vmm/medium.h"
#include "vmm/qmp.h"
#include "vmm/virtual_drive.h"

#include <functional>
#include <string>
#include <vector>

namespace lom::vmm {

class DriveBay {
  public:
    /// `handlers` are every drive's.
    DriveBay(Loop& loop, const VirtualDrive::Handlers& handlers);

    VirtualDrive& operator[](DriveId id) { return drives_[index_of(id)]; }
    const VirtualDrive& operator[](DriveId id) const { return drives_[index_of(id)]; }

    PerDrive<Medium> wanted() const;
    void want(const PerDrive<Medium>& media);

    /// All at once; `done` when the last one has what is wanted in it, or cannot.
    void attach(QemuProcess& qemu, const std::function<void()>& done);
    void detach();
    /// An event of QEMU's; those of other devices are no business of ours.
    void on_event(const std::string& name, const QmpFields& data);

    /// A medium is on its way into the drive. False: that was known.
    bool set_coming(DriveId id, bool now);
    bool any_coming() const { return coming_ != PerDrive<bool>{}; }

    /// The paths by which OpenBoot knows the drives that are to hold nothing, now or for long.
    std::vector<std::string> empty() const { return without_medium(false); }
    std::vector<std::string> on_their_way() const { return without_medium(true); }

  private:
    std::vector<std::string> without_medium(bool coming) const;

    PerDrive<VirtualDrive> drives_;
    PerDrive<bool> coming_{};
};

} // namespace lom::vmm
