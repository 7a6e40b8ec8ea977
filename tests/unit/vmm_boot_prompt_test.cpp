#include "vmm_boot_test.h"

#include "vmm/nvram.h"

#include <gmock/gmock.h>

#include <random>

namespace lom::vmm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class OkPrompt : public BootTest {};

TEST_F(OkPrompt, GreetsWithABanner) {
    control.enter_prompt();
    EXPECT_EQ(output, "\r\nVirtual Host, 2 processors\r\n"
                      "OpenLOM " LOM_VERSION
                      ", BIOS (SeaBIOS), 1024 MB memory installed, Serial #LOM123.\r\n"
                      "Ethernet address 02:00:5e:00:01:01, Host name: host0.\r\n"
                      "\r\n{0} ok ");
}

TEST_F(OkPrompt, BannerCanBeTheOwners) {
    enter();
    type("setenv oem-banner Property of the lab");
    EXPECT_THAT(type("banner"), StartsWith("Virtual Host"));
    type("setenv oem-banner? true");
    EXPECT_EQ(type("banner"), "Property of the lab\r\n");
}

TEST_F(OkPrompt, ShowsVersionAndAddress) {
    enter();
    EXPECT_EQ(type(".version"),
              "OpenLOM " LOM_VERSION " boot control, firmware BIOS (SeaBIOS)\r\n");
    EXPECT_EQ(type(".enet-addr"), "02:00:5e:00:01:01\r\n");
}

TEST_F(OkPrompt, PrintenvShowsThreeColumns) {
    enter();
    type("setenv boot-device net disk1");
    EXPECT_EQ(type("printenv"),
              "Variable Name         Value                          Default Value\r\n"
              "auto-boot?            true                           true\r\n"
              "boot-command          boot                           boot\r\n"
              "boot-device           net disk1                      disk cdrom net\r\n"
              "boot-file                                            \r\n"
              "oem-banner                                           \r\n"
              "oem-banner?           false                          false\r\n");
    EXPECT_EQ(type("printenv boot-device"), "boot-device =         net disk1\r\n");
    EXPECT_EQ(type("printenv nothing"), "Unknown option: nothing\r\n");
}

TEST_F(OkPrompt, SetenvIsDurableAndChecked) {
    enter();
    EXPECT_EQ(type("setenv auto-boot? false"), "auto-boot? =          false\r\n");
    EXPECT_EQ(saves, 1);
    EXPECT_EQ(saved.nvram.at("auto-boot?"), "false");
    EXPECT_EQ(type("setenv auto-boot? false"), "auto-boot? =          false\r\n");
    EXPECT_EQ(saves, 1) << "nothing changed";
    EXPECT_EQ(type("setenv auto-boot? maybe"),
              "Invalid value: auto-boot? is either true or false.\r\n");
    EXPECT_EQ(type("setenv diag-level max"), "Unknown option: diag-level\r\n");
    EXPECT_EQ(type("setenv boot-device disk7"), "Unknown device: disk7; devalias lists them.\r\n");
    EXPECT_EQ(type("setenv boot-device"), "Usage: setenv VARIABLE VALUE\r\n");
    EXPECT_EQ(type("setenv"), "Usage: setenv VARIABLE VALUE\r\n");
    EXPECT_EQ(saves, 1);
    EXPECT_EQ(type("SETENV Auto-Boot? TRUE"), "auto-boot? =          true\r\n");
    EXPECT_TRUE(saved.nvram.empty());
}

TEST_F(OkPrompt, DefaultsComeBackOneByOneAndTogether) {
    enter();
    type("setenv auto-boot? false; setenv boot-file kernel");
    EXPECT_EQ(type("set-default auto-boot?"), "");
    EXPECT_EQ(saved.nvram, (Nvram{{"boot-file", "kernel"}}));
    EXPECT_EQ(type("set-default nothing"), "Unknown option: nothing\r\n");
    EXPECT_EQ(type("set-defaults"), "Setting NVRAM parameters to default values.\r\n");
    EXPECT_TRUE(saved.nvram.empty());
}

TEST_F(OkPrompt, AFailedSaveIsToldAndChangesNothing) {
    enter();
    disk_full = true;
    EXPECT_EQ(type("setenv auto-boot? false"), "Cannot write boot.json: disk full\r\n");
    EXPECT_EQ(type("printenv auto-boot?"), "auto-boot? =          true\r\n");
}

TEST_F(OkPrompt, DevaliasTellsTheMachine) {
    enter();
    EXPECT_EQ(type("devalias"), "disk                     /pci@0,0/virtio@2/disk@0,0\r\n"
                                "disk0                    /pci@0,0/virtio@2/disk@0,0\r\n"
                                "disk1                    /pci@0,0/virtio@3/disk@0,0\r\n"
                                "cdrom                    /pci@0,0/usb@4/storage@1/disk@0,0\r\n"
                                "rcdrom                   /pci@0,0/usb@4/storage@1/disk@0,0\r\n"
                                "net                      /pci@0,0/network@5\r\n"
                                "net0                     /pci@0,0/network@5\r\n");
    EXPECT_EQ(type("devalias rcdrom"),
              "rcdrom                   /pci@0,0/usb@4/storage@1/disk@0,0\r\n");
    EXPECT_EQ(type("devalias tape"), "tape : no such alias\r\n");
    EXPECT_THAT(type("devalias x /pci@0,0"), HasSubstr("cannot be set here"));
}

TEST_F(OkPrompt, ListsDevices) {
    enter();
    EXPECT_EQ(type("show-devs"), "/memory@0\r\n/cpu@0\r\n/cpu@1\r\n"
                                 "/pci@0,0\r\n/pci@0,0/virtio@2\r\n/pci@0,0/virtio@2/disk@0,0\r\n"
                                 "/pci@0,0/virtio@3\r\n/pci@0,0/virtio@3/disk@0,0\r\n"
                                 "/pci@0,0/usb@4\r\n/pci@0,0/usb@4/storage@1\r\n"
                                 "/pci@0,0/usb@4/storage@1/disk@0,0\r\n/pci@0,0/network@5\r\n");
    EXPECT_EQ(type("show-disks"), "/pci@0,0/virtio@2/disk@0,0\r\n/pci@0,0/virtio@3/disk@0,0\r\n"
                                  "/pci@0,0/usb@4/storage@1/disk@0,0\r\n");
    EXPECT_EQ(type("show-nets"), "/pci@0,0/network@5\r\n");
    control.set_machine(boot_test_host(), {});
    EXPECT_EQ(type("show-nets"), "This machine has none.\r\n");
}

TEST_F(OkPrompt, BootsANamedDeviceOnce) {
    enter();
    EXPECT_EQ(type("boot rcdrom -s -v"),
              "Boot device: /pci@0,0/usb@4/storage@1/disk@0,0  File and args: -s -v\r\n");
    ASSERT_EQ(booted.size(), 1U);
    EXPECT_THAT(booted[0].order, ElementsAre("rcdrom"));
    EXPECT_EQ(booted[0].args, "-s -v");
    EXPECT_TRUE(booted[0].once);
    EXPECT_FALSE(booted[0].stop_at_ok);
    EXPECT_FALSE(control.at_prompt());
    control.input("devalias\r");
    EXPECT_EQ(output, "") << "the guest has the console";
}

TEST_F(OkPrompt, BootsByPathAndWithDeviceArguments) {
    enter();
    type("boot /pci@0,0/virtio@3/disk@0,0");
    EXPECT_THAT(booted.back().order, ElementsAre("disk1"));
    enter();
    EXPECT_EQ(type("boot net:dhcp - install"),
              "Boot device: /pci@0,0/network@5:dhcp  File and args: - install\r\n");
    EXPECT_THAT(booted.back().order, ElementsAre("net"));
}

TEST_F(OkPrompt, BootAloneGoesByBootDeviceAndBootFile) {
    enter();
    type("setenv boot-file -v");
    EXPECT_EQ(type("boot"), "Boot device: /pci@0,0/virtio@2/disk@0,0  File and args: -v\r\n");
    EXPECT_THAT(booted.back().order, ElementsAre("disk", "cdrom", "net"));
    EXPECT_FALSE(booted.back().once);
    enter();
    type("setenv boot-device rcdrom cdrom net0 net disk1");
    type("boot -s");
    EXPECT_THAT(booted.back().order, ElementsAre("rcdrom", "net0", "disk1")) << "no device twice";
    EXPECT_EQ(booted.back().args, "-s");
}

TEST_F(OkPrompt, BootRefusesWhatCannotBeOpened) {
    enter();
    EXPECT_EQ(type("boot tape"), "Can't open boot device: tape; devalias lists them.\r\n");
    control.set_empty_drives({"/pci@0,0/usb@4/storage@1/disk@0,0"});
    EXPECT_EQ(type("boot rcdrom"),
              "Can't open boot device: no medium in /pci@0,0/usb@4/storage@1/disk@0,0\r\n");
    control.set_machine(boot_test_host(), {});
    EXPECT_EQ(type("boot"), "Can't open boot device: this machine has none of boot-device = disk "
                            "cdrom net\r\n");
    EXPECT_TRUE(booted.empty());
    EXPECT_TRUE(control.at_prompt());
}

TEST_F(OkPrompt, BootWaitsForAMediumThatIsOnItsWay) {
    const std::string waits =
        "Waiting for the medium of /pci@0,0/usb@4/storage@1/disk@0,0; Ctrl-C stops it.\r\n";
    enter();
    control.set_empty_drives({}, {"/pci@0,0/usb@4/storage@1/disk@0,0"});
    output.clear();
    control.input("boot rcdrom\r");
    control.tick();
    control.tick();
    EXPECT_EQ(output, "boot rcdrom\r\n" + waits + "..");
    control.input("what is typed\x03");
    EXPECT_TRUE(output.ends_with("..^C\r\n{0} ok ")) << output;
    EXPECT_EQ(type("5 drop").find("what is typed"), std::string::npos);

    control.input("boot rcdrom\r");
    control.set_empty_drives({"/pci@0,0/usb@4/storage@1/disk@0,0"});
    EXPECT_TRUE(output.ends_with("no medium in /pci@0,0/usb@4/storage@1/disk@0,0\r\n{0} ok "));

    control.set_empty_drives({}, {"/pci@0,0/usb@4/storage@1/disk@0,0"});
    control.input("boot rcdrom\r");
    for (int second = 0; second < 60; ++second)
        control.tick();
    EXPECT_TRUE(output.ends_with("It does not come.\r\n{0} ok ")) << "not for ever";

    control.input("boot rcdrom\r");
    EXPECT_TRUE(booted.empty());
    control.set_empty_drives({});
    EXPECT_EQ(booted.size(), 1U);
    EXPECT_FALSE(control.at_prompt());
}

TEST_F(OkPrompt, AScriptThatWaitsForAMediumGoesOnAtThePrompt) {
    control.set_empty_drives({}, {"/pci@0,0/usb@4/storage@1/disk@0,0"});
    ASSERT_TRUE(control.set_script("boot rcdrom"));
    EXPECT_TRUE(power_on().stop_at_ok);
    EXPECT_TRUE(booted.empty());
    control.set_empty_drives({});
    EXPECT_EQ(booted.size(), 1U);
}

TEST_F(OkPrompt, UnknownWordsAndEmptyLines) {
    enter();
    EXPECT_EQ(type("frobnicate now"), "frobnicate ?\r\n");
    EXPECT_EQ(type(""), "");
    EXPECT_EQ(type("   ; ;"), "");
    EXPECT_EQ(type("banner please"), "Usage: banner\r\n");
    EXPECT_EQ(type("; foo; bar ;"), "foo ?\r\nbar ?\r\n");
}

TEST_F(OkPrompt, HelpKnowsEveryWord) {
    enter();
    const std::string help = type("help");
    const std::string names = type("words");
    for (const char* word : {".enet-addr", ".version", "banner", "boot", "devalias", "help",
                             "power-off", "printenv", "reset-all", "set-default", "set-defaults",
                             "setenv", "show-devs", "show-disks", "show-nets", "words"}) {
        EXPECT_THAT("\n" + help, HasSubstr(std::string("\n") + word + " ")) << word;
        EXPECT_THAT(names, HasSubstr(std::string(word) + " "));
        EXPECT_EQ(type(std::string("help ") + word).find('\n') + 1,
                  type(std::string("help ") + word).size());
    }
    EXPECT_THAT(type("help frob"), HasSubstr("No help for frob"));
}

TEST_F(OkPrompt, ResetAllAndPowerOffAskTheHost) {
    enter();
    type("setenv auto-boot? false");
    output.clear();
    control.input("reset-all\r");
    EXPECT_EQ(resets, 1);
    EXPECT_THAT(output, StartsWith("reset-all\r\n\r\nVirtual Host"));
    EXPECT_TRUE(control.at_prompt());
    control.input("power-off\rboot\r");
    EXPECT_EQ(power_offs, 1);
    control.leave_prompt();
    EXPECT_FALSE(control.at_prompt());
    EXPECT_TRUE(booted.empty());
}

TEST_F(OkPrompt, WhatIsTypedAheadWaitsForTheReset) {
    reset_at_once = false;
    enter();
    type("setenv auto-boot? false");
    control.input("reset-all\rdevalias net\r\nboot rcdrom\rnot for us\r");
    EXPECT_EQ(resets, 1);
    EXPECT_TRUE(control.at_prompt());
    EXPECT_TRUE(booted.empty());
    output.clear();
    power_on();
    EXPECT_THAT(output, HasSubstr("{0} ok devalias net\r\nnet "));
    ASSERT_EQ(booted.size(), 1U);
    EXPECT_THAT(booted[0].order, ElementsAre("rcdrom"));
    EXPECT_THAT(output, Not(HasSubstr("not for us")));
    enter();
    EXPECT_EQ(output, "");
}

TEST_F(OkPrompt, TypedAheadIsBoundedAndResetsDoNotNest) {
    enter();
    type("setenv auto-boot? false");
    std::string many;
    for (int i = 0; i < 20'000; ++i)
        many += "reset-all\r";
    control.input(many); // each one comes back into enter_prompt() at once
    EXPECT_EQ(resets, 20'000);
    reset_at_once = false;
    control.input("reset-all\r");
    control.input(std::string(1 << 20, 'x'));
    reset_at_once = true;
    output.clear();
    power_on();
    EXPECT_LT(output.size(), 6000U);
}

TEST_F(OkPrompt, EditsLines) {
    enter();
    control.input("devv\bias\x7f\x7f\x7f"
                  "alias net\x15"
                  ".enet-addr\r");
    EXPECT_THAT(output, HasSubstr("02:00:5e:00:01:01\r\n{0} ok "));
    output.clear();
    control.input("\b\x7f\x15");
    EXPECT_EQ(output, "") << "nothing to erase";
    control.input("boot\x03");
    EXPECT_EQ(output, "boot^C\r\n{0} ok ");
    EXPECT_TRUE(booted.empty());
}

TEST_F(OkPrompt, EachLineEndCountsOnce) {
    enter();
    control.input("\r\n");
    control.input("\r");
    control.input("\n");
    control.input("\n");
    EXPECT_EQ(output, "\r\n{0} ok \r\n{0} ok \r\n{0} ok ");
}

TEST_F(OkPrompt, SwallowsWhatIsNotText) {
    enter();
    control.input("\x1b[3~\x1b[1;5Cf\x1bOPo\x1bxo\xc3\xa9\t\x01");
    control.input(std::string(1, '\0'));
    EXPECT_EQ(output, "foo");
    output.clear();
    control.input("\x1b\r");
    EXPECT_EQ(output, "\r\nfoo ?\r\n{0} ok ");
}

TEST_F(OkPrompt, ArrowsRecallLines) {
    enter();
    control.input("one\rtwo\rtwo\rthr");
    output.clear();
    control.input("\x1b[A");
    EXPECT_EQ(output, "\b \b\b \b\b \btwo");
    control.input("\x1bOA\x1b[A\x1b[A");
    output.clear();
    control.input("\r");
    EXPECT_EQ(output, "\r\none ?\r\n{0} ok ");
    control.input("\x1b[A\x1b[B\x1b[B");
    output.clear();
    control.input("\r");
    EXPECT_EQ(output, "\r\n{0} ok ") << "past the last one the line is empty";
}

TEST_F(OkPrompt, DoesNotRunATruncatedLine) {
    enter();
    control.input("boot " + std::string(LineEditor::line_limit, ' ') + "\r");
    EXPECT_THAT(output, HasSubstr("this one was not run"));
    EXPECT_TRUE(booted.empty());
    output.clear();
    control.input(std::string(LineEditor::line_limit + 1, 'x') + "\x15.enet-addr\r");
    EXPECT_THAT(output, HasSubstr("02:00:5e"));
}

TEST_F(OkPrompt, UsersNamesCannotControlTheTerminal) {
    HostDefinition host = boot_test_host();
    host.identity.product_name = "evil\x1b]0;x\a";
    control.set_machine(host, boot_test_devices());
    enter();
    EXPECT_THAT(type("banner"), StartsWith("evil?]0;x?, 2"));
}

TEST(OkPromptPieces, PastedOrTypedIsTheSame) {
    class Session : public BootTest {
      public:
        void TestBody() override {}
        std::string run(const std::string& bytes, std::size_t piece) {
            control.enter_prompt();
            for (std::size_t at = 0; at < bytes.size(); at += piece)
                control.input(std::string_view(bytes).substr(at, piece));
            return output;
        }
    };
    const std::string bytes = "help\r\nsetenv auto-boot? false\nprintenv\r\x1b[A\rfoo\b\b\x15words"
                              "\r\nreset-all\r\nshow-devs\r\n\x03"
                              "devalias;banner\rboot cdrom\r";
    Session whole;
    const std::string expected = whole.run(bytes, bytes.size());
    EXPECT_THAT(expected, HasSubstr("Boot device: /pci@0,0/usb@4"));
    for (std::size_t piece : {1U, 2U, 7U}) {
        Session pieces;
        EXPECT_EQ(pieces.run(bytes, piece), expected);
    }
}

TEST_F(OkPrompt, SurvivesNonsense) {
    std::mt19937 random(7);
    const std::string words[] = {"boot ", "setenv ",  "reset-all",    "printenv ",    "disk",
                                 "net:",  ";",        "\r",           "\x1b[A",       "\x7f",
                                 "help ", "-s ",      "set-defaults", "boot-device ", "auto-boot? ",
                                 "false", "/pci@0,0/"};
    control.enter_prompt();
    for (int i = 0; i < 10'000; ++i) {
        std::string bytes;
        for (int part = 0; part < 8; ++part)
            if (random() % 2 == 0)
                bytes += words[random() % std::size(words)];
            else
                bytes += static_cast<char>(random());
        control.input(bytes);
        if (!control.at_prompt())
            control.enter_prompt();
        ASSERT_LE(control.state().nvram.size(), nvram_variables().size());
        booted.clear();
        output.clear();
    }
    // Still a prompt that works.
    control.input("\x03");
    EXPECT_THAT(type(".enet-addr"), HasSubstr("02:00:5e"));
}

} // namespace
} // namespace lom::vmm
