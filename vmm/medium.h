// The devices of a host that take an image, and the image in them. Plain data; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace lom::vmm {

enum class DriveId { cd, cd2, usb_disk };
inline constexpr std::array all_drives = {DriveId::cd, DriveId::cd2, DriveId::usb_disk};
template <typename T>
using PerDrive = std::array<T, all_drives.size()>;

/// How a drive is known to QEMU, to OpenBoot and in records.
struct DriveTraits {
    const char* device;      ///< QEMU's id of the device
    const char* node_prefix; ///< of its media in QEMU
    int storage;             ///< OpenBoot's storage@; its USB port is the next (1: the tablet)
    const char* alias;       ///< of OpenBoot, which knows it with an r (remote) in front too
    const char* record;      ///< its member in the runtime record
    /// A CD drive is always there, and the guest may lock its tray. A disk comes and goes whole.
    bool has_tray;
};
inline constexpr PerDrive<DriveTraits> drive_traits = {{
    {"cd0", "cd-", 1, "cdrom", "medium", true},
    {"cd1", "cd2-", 2, "cdrom2", "medium2", true},
    {"usbdisk0", "usbdisk-", 3, "usbdisk", "usb_disk", false},
}};
constexpr std::size_t index_of(DriveId drive) { return static_cast<std::size_t>(drive); }
constexpr const DriveTraits& traits_of(DriveId drive) { return drive_traits[index_of(drive)]; }

struct Medium {
    std::string file; ///< empty: none
    bool writable = false;
    /// It lies on this machine: an I/O error is the disk's, and no source comes back.
    bool local = false;
    bool present() const { return !file.empty(); }
    bool operator==(const Medium&) const = default;
};

} // namespace lom::vmm
