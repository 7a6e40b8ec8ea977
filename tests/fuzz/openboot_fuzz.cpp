// libFuzzer: console input, scripts and a saved state, all hostile, through BootControl.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -DLOM_VERSION='"fuzz"' -I.
//   tests/fuzz/openboot_fuzz.cpp vmm/{boot_control,openboot,nvram,line_editor,boot_state_json}.cpp
//   -lboost_json
#include "vmm/boot_control.h"

#include <cstdlib>

using namespace lom;
using namespace lom::vmm;

namespace {

// What the rest relies on: whatever was taken in can be saved and read again.
void check(const BootState& state) {
    const auto read = boot_state_from_json(boot_state_to_json(state));
    if (!read || *read != state)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string text(data, data + size);
    const std::string script = text.substr(0, text.find('\0'));
    const std::string typed = script.size() < text.size() ? text.substr(script.size() + 1) : text;
    const auto loaded = boot_state_from_json(text);

    BootControl control(
        loaded ? *loaded : BootState{}, [](const BootState&) { return Result<void>(); },
        [] { return std::chrono::system_clock::time_point(); },
        {.boot =
             [](const BootPlan& plan) {
                 if (plan.order.empty() && !plan.firmware_setup)
                     std::abort();
             },
         .reset_all = [] {},
         .power_off = [] {},
         .print = [](std::string_view) {}});
    control.set_machine({},
                        {{"disk", "/pci/disk@0"}, {"cdrom", "/usb/cd@0"}, {"rcdrom", "/usb/cd@0"}});
    (void)control.set_script(script);
    for (int boot = 0; boot < 2; ++boot) {
        if (control.begin_boot().stop_at_ok)
            control.enter_prompt();
        control.input(typed);
        check(control.state());
    }
    return 0;
}
