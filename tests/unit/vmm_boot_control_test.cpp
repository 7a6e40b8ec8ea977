#include "vmm_boot_test.h"

#include <gmock/gmock.h>

namespace lom::vmm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BeginBoot : public BootTest {};

TEST_F(BeginBoot, BootsSilentlyByDefault) {
    const BootPlan plan = power_on();
    EXPECT_FALSE(plan.stop_at_ok);
    EXPECT_THAT(plan.order, ElementsAre("disk", "cdrom", "net"));
    EXPECT_FALSE(plan.once);
    EXPECT_EQ(output, "");
    EXPECT_EQ(saves, 0);
    EXPECT_FALSE(control.next_boot_is_special());
}

TEST_F(BeginBoot, SkipsWhatTheMachineLacks) {
    control.set_machine(boot_test_host(), {{"cdrom", "/usb/cd"}, {"rcdrom", "/usb/cd"}});
    EXPECT_THAT(power_on().order, ElementsAre("cdrom"));
    control.set_machine(boot_test_host(), {});
    EXPECT_TRUE(power_on().stop_at_ok);
    EXPECT_THAT(output, HasSubstr("Can't open boot device: this machine has none of"));
}

TEST_F(BeginBoot, TheTourStopsAtOkEveryTimeUntilToldOtherwise) {
    ASSERT_TRUE(control.set_script("setenv auto-boot? false"));
    EXPECT_TRUE(control.next_boot_is_special());
    EXPECT_TRUE(power_on().stop_at_ok);
    EXPECT_THAT(output, testing::StartsWith("{0} ok setenv auto-boot? false\r\n"
                                            "auto-boot? =          false\r\n\r\nVirtual Host"));
    EXPECT_EQ(control.state().script, "");
    EXPECT_EQ(saves, 2) << "one to set it, one to use it up";
    type("reset-all");
    EXPECT_EQ(resets, 1);
    EXPECT_TRUE(control.at_prompt());
    EXPECT_TRUE(control.next_boot_is_special());
    type("boot rcdrom");
    EXPECT_THAT(booted.back().order, ElementsAre("rcdrom"));
}

TEST_F(BeginBoot, AScriptMayBootByItself) {
    ASSERT_TRUE(control.set_script("setenv auto-boot? false;frob; boot rcdrom -s\nboot net"));
    const BootPlan plan = power_on();
    EXPECT_THAT(plan.order, ElementsAre("rcdrom"));
    EXPECT_TRUE(plan.once);
    EXPECT_EQ(output, "{0} ok setenv auto-boot? false\r\nauto-boot? =          false\r\n"
                      "{0} ok frob\r\nfrob ?\r\n"
                      "{0} ok boot rcdrom -s\r\n"
                      "Boot device: /pci@0,0/usb@4/storage@1/disk@0,0  File and args: -s\r\n");
}

TEST_F(BeginBoot, AFailedBootInAScriptIsSkipped) {
    ASSERT_TRUE(control.set_script("boot tape; boot net"));
    EXPECT_THAT(power_on().order, ElementsAre("net"));
}

TEST_F(BeginBoot, ResetAllAndPowerOffInAScriptEnd) {
    ASSERT_TRUE(control.set_script("setenv boot-device net;reset-all;boot cdrom"));
    EXPECT_THAT(power_on().order, ElementsAre("net"));
    EXPECT_EQ(resets, 0);
    ASSERT_TRUE(control.set_script("power-off; boot"));
    const BootPlan plan = control.begin_boot();
    EXPECT_TRUE(plan.power_off);
    EXPECT_TRUE(plan.stop_at_ok);
    EXPECT_EQ(power_offs, 0) << "the plan says it; the host is in the middle of starting";
}

TEST_F(BeginBoot, BootCommandDecidesAutoBoot) {
    enter();
    type("setenv boot-command boot cdrom");
    EXPECT_THAT(power_on().order, ElementsAre("cdrom"));
    enter();
    type("setenv boot-command reset-all");
    EXPECT_TRUE(power_on().stop_at_ok);
    EXPECT_THAT(output, HasSubstr("boot-command = reset-all would never end."));
    type("setenv boot-command banner");
    EXPECT_TRUE(power_on().stop_at_ok);
}

TEST_F(BeginBoot, BootDeviceAppliesOnceBeforeTheOthers) {
    ASSERT_TRUE(control.set_boot_device("pxe"));
    EXPECT_TRUE(control.next_boot_is_special());
    BootPlan plan = power_on();
    EXPECT_THAT(plan.order, ElementsAre("net", "disk", "cdrom"));
    EXPECT_TRUE(plan.once);
    EXPECT_EQ(saved.boot_device, "default");
    plan = power_on();
    EXPECT_THAT(plan.order, ElementsAre("disk", "cdrom", "net"));
    EXPECT_FALSE(plan.once);
}

TEST_F(BeginBoot, BootDeviceWinsOverBootCommand) {
    enter();
    type("setenv boot-command boot net");
    ASSERT_TRUE(control.set_boot_device("cdrom"));
    EXPECT_THAT(power_on().order, ElementsAre("cdrom", "disk", "net"));
    EXPECT_THAT(power_on().order, ElementsAre("net"));
}

TEST_F(BeginBoot, BiosMeansFirmwareSetup) {
    ASSERT_TRUE(control.set_boot_device("bios"));
    EXPECT_TRUE(power_on().firmware_setup);
    EXPECT_FALSE(power_on().firmware_setup);
}

TEST_F(BeginBoot, BootDeviceWaitsAtTheOkPrompt) {
    ASSERT_TRUE(control.set_script("setenv auto-boot? false"));
    ASSERT_TRUE(control.set_boot_device("cdrom"));
    EXPECT_TRUE(power_on().stop_at_ok);
    EXPECT_EQ(control.state().boot_device, "cdrom");
    type("boot");
    EXPECT_THAT(booted.back().order, ElementsAre("cdrom", "disk", "net"));
    EXPECT_EQ(saved.boot_device, "default");
    power_on();
    type("boot");
    EXPECT_THAT(booted.back().order, ElementsAre("disk", "cdrom", "net"));
}

TEST_F(BeginBoot, ANamedDeviceUsesUpBootDevice) {
    ASSERT_TRUE(control.set_boot_device("pxe"));
    ASSERT_TRUE(control.set_script("boot disk1"));
    EXPECT_THAT(power_on().order, ElementsAre("disk1"));
    EXPECT_EQ(control.state().boot_device, "default");
}

TEST_F(BeginBoot, BootDeviceOfAMissingKindFallsBack) {
    control.set_machine(boot_test_host(), {{"disk", "/disk"}});
    ASSERT_TRUE(control.set_boot_device("pxe"));
    EXPECT_THAT(power_on().order, ElementsAre("disk"));
}

TEST_F(BeginBoot, SettingsAreChecked) {
    EXPECT_EQ(control.set_boot_device("floppy").fault().kind, FaultKind::invalid_value);
    EXPECT_TRUE(control.set_script(std::string(1000, ' ')));
    EXPECT_EQ(control.set_script(std::string(1001, ' ')).fault().message,
              "A script has at most 1000 bytes; this one has 1001.");
    EXPECT_FALSE(control.set_script("boot\x1b[2J"));
    EXPECT_FALSE(control.set_script(std::string("boot\0", 5)));
    EXPECT_TRUE(control.set_script(""));
    EXPECT_EQ(control.state(), BootState{});
}

TEST_F(BeginBoot, ResetNvramComesBeforeTheScript) {
    enter();
    type("setenv boot-device net");
    ASSERT_TRUE(control.set_reset_nvram(true));
    ASSERT_TRUE(control.set_script("setenv boot-file x"));
    output.clear();
    saves = 0;
    EXPECT_THAT(power_on().order, ElementsAre("disk", "cdrom", "net"));
    EXPECT_EQ(saves, 1);
    EXPECT_EQ(saved, (BootState{.nvram = {{"boot-file", "x"}}}));
    EXPECT_THAT(output, testing::StartsWith("Setting NVRAM parameters to default values.\r\n"));
}

TEST_F(BeginBoot, ResetNvramExpiresAndTheScriptDoesNot) {
    enter();
    type("setenv boot-device net");
    ASSERT_TRUE(control.set_script("banner"));
    ASSERT_TRUE(control.set_reset_nvram(true));
    EXPECT_EQ(control.state().expires, clock + 10min);
    clock += 10min - 1s;
    EXPECT_TRUE(control.state().reset_nvram);
    clock += 1s;
    EXPECT_FALSE(control.state().reset_nvram);
    EXPECT_FALSE(control.state().expires);
    EXPECT_EQ(control.state().script, "banner");
    EXPECT_THAT(power_on().order, ElementsAre("net"));
    EXPECT_FALSE(saved.reset_nvram);
}

TEST_F(BeginBoot, AClockSetBackExpiresToo) {
    ASSERT_TRUE(control.set_reset_nvram(true));
    clock -= 24h;
    EXPECT_FALSE(control.state().reset_nvram);
}

TEST_F(BeginBoot, ResetNvramCanBeTakenBack) {
    ASSERT_TRUE(control.set_reset_nvram(true));
    ASSERT_TRUE(control.set_reset_nvram(false));
    EXPECT_EQ(saved, BootState{});
}

TEST_F(BeginBoot, AConfigBringsItsVariablesBackOnce) {
    ASSERT_TRUE(control.set_boot_order("net"));
    ASSERT_TRUE(control.save_config("install"));
    EXPECT_EQ(control.state().configs.at("install").created, clock);
    ASSERT_TRUE(control.set_boot_order("disk"));
    ASSERT_TRUE(control.set_config("INSTALL"));
    EXPECT_TRUE(control.next_boot_is_special());
    EXPECT_THAT(power_on().order, ElementsAre("net"));
    EXPECT_THAT(output, HasSubstr("Setting NVRAM parameters to those of install.\r\n"));
    EXPECT_EQ(saved.config, "");
    EXPECT_EQ(control.boot_order(), "net") << "the variables stay";
    ASSERT_TRUE(control.set_boot_order("disk"));
    EXPECT_THAT(power_on().order, ElementsAre("disk")) << "one boot only";
}

TEST_F(BeginBoot, FactoryDefaultIsAConfigThatIsThereAlways) {
    ASSERT_TRUE(control.set_boot_order("net"));
    ASSERT_TRUE(control.set_config("factory-default"));
    ASSERT_TRUE(control.set_script("setenv boot-file x"));
    EXPECT_THAT(power_on().order, ElementsAre("disk", "cdrom", "net"));
    EXPECT_EQ(saved, (BootState{.nvram = {{"boot-file", "x"}}})) << "it comes before the script";
}

TEST_F(BeginBoot, ConfigsHaveNamesThatCanBeTypedAndALimit) {
    for (const char* name : {"", "factory-default", "Factory-Default", "a b", "../x", "a/b"})
        EXPECT_EQ(control.save_config(name).fault().kind, FaultKind::invalid_value) << name;
    ASSERT_TRUE(control.save_config("one"));
    EXPECT_EQ(control.save_config("ONE").fault().kind, FaultKind::wrong_state);
    EXPECT_EQ(control.set_config("two").fault().kind, FaultKind::invalid_value);
    ASSERT_TRUE(control.set_config("one"));
    EXPECT_EQ(control.delete_config("one").fault().kind, FaultKind::wrong_state);
    ASSERT_TRUE(control.set_config(""));
    ASSERT_TRUE(control.delete_config("one"));
    for (std::size_t i = 0; i < boot_configs_limit; ++i)
        ASSERT_TRUE(control.save_config("c" + std::to_string(i)));
    EXPECT_EQ(control.save_config("more").fault().kind, FaultKind::wrong_state);
}

TEST_F(BeginBoot, AFullDiskIsToldAndKeepsTheSettings) {
    ASSERT_TRUE(control.set_script("boot rcdrom"));
    disk_full = true;
    EXPECT_EQ(control.set_boot_device("pxe").fault().message, "Cannot write boot.json: disk full");
    EXPECT_EQ(control.state().boot_device, "default");
    EXPECT_THAT(power_on().order, ElementsAre("rcdrom"));
    EXPECT_THAT(output, HasSubstr("disk full\r\n"));
    EXPECT_EQ(control.state().script, "boot rcdrom");
}

} // namespace
} // namespace lom::vmm
