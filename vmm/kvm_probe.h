// Does this machine's KVM really run guests? Answered by running code in it, in a child process
// with a deadline: a KVM that merely opens may emulate every instruction or die at the first SSE
// one. Any thread; takes some milliseconds, at most about two seconds.
#pragma once

#include "vmm/definition.h"

#include <string>

namespace lom::vmm {

struct KvmProbe {
    bool usable = false;    ///< runs 64-bit code at hardware speed
    bool real_mode = false; ///< /dev/kvm opens and runs at least firmware and real-mode code
    std::string reason;     ///< a sentence: what works or what does not
    std::string remedy;     ///< what to do about it (BIOS switch, module, permission); may be empty
};

/// The paths are parameters for the sake of tests.
KvmProbe probe_kvm(const std::string& device = "/dev/kvm",
                   const std::string& cpuinfo = "/proc/cpuinfo");

} // namespace lom::vmm
