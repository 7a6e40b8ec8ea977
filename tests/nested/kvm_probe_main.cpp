// kvm-probe: prints what the KVM probe finds. Exit status 0: usable, 1: not.
#include "vmm/kvm_probe.h"

#include <iostream>

int main() {
    const auto probe = lom::vmm::probe_kvm();
    std::cout << (probe.usable      ? "usable: "
                  : probe.real_mode ? "real mode only: "
                                    : "not usable: ")
              << probe.reason << (probe.remedy.empty() ? "" : " ") << probe.remedy << "\n";
    return probe.usable ? 0 : 1;
}
