// What hosts run on: QEMU and the firmware images of this machine. Loop thread; never blocks.
#pragma once

#include "base/loop.h"

#include <memory>
#include <string>

namespace lom::vmm {

struct Versions {
    std::string qemu; ///< "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"; empty until it has answered
    std::string bios; ///< "SeaBIOS 1.16.2-debian-1.16.2-1"
    std::string uefi;
};

/// Asks in the background, once; what is not known stays empty.
std::shared_ptr<const Versions> read_versions(Loop& loop, const std::string& qemu);

} // namespace lom::vmm
