#include "vmm/drive_bay.h"

#include "vmm/command_line.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace lom::vmm {

DriveBay::DriveBay(Loop& loop, const VirtualDrive::Handlers& handlers)
    : drives_{VirtualDrive{loop, DriveId::cd, handlers}, VirtualDrive{loop, DriveId::cd2, handlers},
              VirtualDrive{loop, DriveId::usb_disk, handlers}} {}

PerDrive<Medium> DriveBay::wanted() const {
    PerDrive<Medium> media;
    for (const DriveId id : all_drives)
        media[index_of(id)] = (*this)[id].wanted();
    return media;
}

void DriveBay::want(const PerDrive<Medium>& media) {
    for (const DriveId id : all_drives)
        (*this)[id].want(media[index_of(id)], nullptr);
}

void DriveBay::attach(QemuProcess& qemu, const std::function<void()>& done) {
    const auto left = std::make_shared<std::size_t>(drives_.size());
    for (VirtualDrive& drive : drives_)
        drive.attach(qemu, [left, done] {
            if (--*left == 0)
                done();
        });
}

void DriveBay::detach() {
    for (VirtualDrive& drive : drives_)
        drive.detach();
}

void DriveBay::on_event(const std::string& name, const QmpFields& data) {
    for (const DriveId id : all_drives) {
        const std::string device = traits_of(id).device;
        if (name == "DEVICE_TRAY_MOVED" && data.id == device)
            (*this)[id].on_tray_moved(data.tray_open);
        else if (name == "DEVICE_DELETED" && data.device == device)
            (*this)[id].on_unplugged();
    }
}

bool DriveBay::set_coming(DriveId id, bool now) {
    return std::exchange(coming_[index_of(id)], now) != now;
}

std::vector<std::string> DriveBay::without_medium(bool coming) const {
    std::vector<std::string> paths;
    for (const DriveId id : all_drives)
        if (!(*this)[id].wanted().present() && coming_[index_of(id)] == coming)
            paths.push_back(drive_path(id));
    return paths;
}

} // namespace lom::vmm
