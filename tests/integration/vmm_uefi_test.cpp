// UEFI: the order of devices that the firmware tries, and boot_device for one boot. The guest is
// the firmware's own shell, which OVMF reaches when nothing can be booted.
#include "tests/integration/vmm_host_support.h"

namespace lom::vmm::test {
namespace {

class UefiTest : public HostTest {
  protected:
    void SetUp() override {
        HostTest::SetUp();
        if (!std::filesystem::exists(uefi_code))
            GTEST_SKIP() << "needs ovmf";
        initial.memory_mib = 192;
        initial.firmware = Firmware::uefi;
        initial.disks = {{"disk0", disk_size}};
    }

    /// What the firmware says that it tries, up to the shell.
    std::string attempts() {
        const std::size_t from = seen;
        if (!console_says("Shell>", 60s))
            return "";
        return console().substr(from, seen - from);
    }
    /// The slots are those of boot_devices(): the USB controller's and the first disk's.
    static bool tries_cd_first(const std::string& text) {
        const std::size_t cd = text.find("from PciRoot(0x0)/Pci(0x4,0x0)/USB");
        const std::size_t disk = text.find("from PciRoot(0x0)/Pci(0x8,0x0)");
        return cd != std::string::npos && cd < disk;
    }
    static bool tries_disk_first(const std::string& text) {
        const std::size_t disk = text.find("from PciRoot(0x0)/Pci(0x8,0x0)");
        return disk != std::string::npos && !tries_cd_first(text);
    }
};

TEST_F(UefiTest, boot_device_is_for_one_boot_also_when_the_guest_reboots) {
    open();
    host->insert(DriveId::cd, {.file = iso()}, [](const Result<void>&) {});
    ASSERT_TRUE(host->boot().set_boot_device("cdrom"));
    ASSERT_TRUE(start()) << refusal;
    std::string text = attempts();
    EXPECT_TRUE(tries_cd_first(text)) << text;
    type("reset\r");
    text = attempts();
    EXPECT_TRUE(tries_disk_first(text)) << text;
    ASSERT_TRUE(host->boot().set_boot_device("cdrom"));
    loop.run_until([] { return false; }, 100ms);
    type("reset\r");
    text = attempts();
    EXPECT_TRUE(tries_cd_first(text)) << text;
    EXPECT_EQ(host->status(), HostStatus::powered_on);
}

TEST_F(UefiTest, boot_device_bios_waits_for_the_key_to_its_setup) {
    open();
    ASSERT_TRUE(host->boot().set_boot_device("bios"));
    ASSERT_TRUE(start()) << refusal;
    // The firmware is ready for the key some time after its first output.
    EXPECT_TRUE(wait(
        [&] {
            type("\x1b");
            loop.run_until([] { return false; }, 1s);
            return console().find("Boot Manager") != std::string::npos;
        },
        60s))
        << console();
    EXPECT_EQ(host->boot().state().boot_device, "default");
}

} // namespace
} // namespace lom::vmm::test
