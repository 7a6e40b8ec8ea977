// A BootControl with a machine, a clock and a disk of its own, whose host resets and boots at once.
#pragma once

#include "vmm/boot_control.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lom::vmm {

using namespace std::chrono_literals;

inline HostDefinition boot_test_host() {
    HostDefinition host;
    host.name = "host0";
    host.processors = 2;
    host.identity.serial_number = "LOM123";
    host.nics = {{"net0", "02:00:5e:00:01:01"}};
    return host;
}

inline std::vector<BootDevice> boot_test_devices() {
    return {{"disk", "/pci@0,0/virtio@2/disk@0,0"},
            {"disk0", "/pci@0,0/virtio@2/disk@0,0"},
            {"disk1", "/pci@0,0/virtio@3/disk@0,0"},
            {"cdrom", "/pci@0,0/usb@4/storage@1/disk@0,0"},
            {"rcdrom", "/pci@0,0/usb@4/storage@1/disk@0,0"},
            {"net", "/pci@0,0/network@5"},
            {"net0", "/pci@0,0/network@5"}};
}

class BootTest : public testing::Test {
  protected:
    explicit BootTest(BootState initial = {})
        : control(
              std::move(initial),
              [this](const BootState& state) -> Result<void> {
                  if (disk_full)
                      return Fault{FaultKind::internal, "Cannot write boot.json: disk full"};
                  ++saves;
                  saved = state;
                  return {};
              },
              [this] { return clock; },
              {.boot = [this](const BootPlan& plan) { booted.push_back(plan); },
               .reset_all =
                   [this] {
                       ++resets;
                       if (reset_at_once)
                           power_on();
                   },
               .power_off = [this] { ++power_offs; },
               .print = [this](std::string_view text) { output += text; }}) {
        control.set_machine(boot_test_host(), boot_test_devices());
    }

    /// What a host does when a boot begins.
    BootPlan power_on() {
        BootPlan plan = control.begin_boot();
        if (plan.stop_at_ok)
            control.enter_prompt();
        else
            booted.push_back(plan);
        return plan;
    }

    void enter() {
        control.enter_prompt();
        output.clear();
    }

    /// Types a line and gives what came back after its echo, without the next prompt.
    std::string type(const std::string& line) {
        output.clear();
        control.input(line + "\r");
        std::string answer = std::exchange(output, "");
        EXPECT_TRUE(answer.starts_with(line + "\r\n")) << answer;
        answer.erase(0, line.size() + 2);
        if (control.at_prompt() && answer.ends_with("{0} ok "))
            answer.resize(answer.size() - 7);
        return answer;
    }

    std::chrono::system_clock::time_point clock{std::chrono::seconds(1'800'000'000)};
    bool disk_full = false;
    bool reset_at_once = true;
    int saves = 0;
    int resets = 0;
    int power_offs = 0;
    BootState saved;
    std::string output;
    std::vector<BootPlan> booted;
    BootControl control;
};

} // namespace lom::vmm
