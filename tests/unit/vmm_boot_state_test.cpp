#include "vmm/boot_state.h"

#include <gtest/gtest.h>

#include <random>

namespace lom::vmm {
namespace {

BootState full_state() {
    return {.nvram = {{"auto-boot?", "false"}, {"boot-device", "net \"disk\""}},
            .script = "setenv auto-boot? false;\nboot rcdrom",
            .reset_nvram = true,
            .expires = std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000)),
            .boot_device = "cdrom",
            .configs = {{"install",
                         {{{"boot-device", "net"}},
                          std::chrono::system_clock::time_point(std::chrono::seconds(7))}}},
            .config = "install"};
}

TEST(BootStateJson, ComesBackEqual) {
    for (const BootState& state : {BootState{}, full_state()}) {
        const auto read = boot_state_from_json(boot_state_to_json(state));
        ASSERT_TRUE(read) << read.fault().message;
        EXPECT_EQ(*read, state);
    }
}

TEST(BootStateJson, RefusesWhatWasNeverWritten) {
    for (const char* text :
         {"", "nonsense", "[]", "42", R"({"nvram":[]})", R"({"nvram":{"auto-boot?":true}})",
          R"({"script":1})", R"({"script":"\u001b[2J"})", R"({"boot_device":"floppy"})",
          R"({"config":"gone"})", R"({"configs":{"a":{}}})",
          R"({"configs":{"../a":{"created":1}}})", R"({"configs":[]})", R"({"reset_nvram":"yes"})",
          R"({"expires":-1})", R"({"expires":9e99})", R"({"expires":9223372036854775807})",
          R"({"expires":"soon"})"}) {
        const auto read = boot_state_from_json(text);
        ASSERT_FALSE(read) << text;
        EXPECT_EQ(read.fault().message.find("The saved boot settings are damaged"), 0U);
    }
    EXPECT_FALSE(boot_state_from_json(R"({"script":")" + std::string(1001, 'x') + "\"}"));
    EXPECT_FALSE(boot_state_from_json("{\"x\":\"" + std::string(1 << 20, 'x') + "\"}"));
    EXPECT_FALSE(boot_state_from_json(std::string(60'000, '[')));
}

TEST(BootStateJson, VariablesOfOtherVersionsGoBackToDefault) {
    const auto read = boot_state_from_json(
        R"({"nvram":{"auto-boot?":"perhaps","diag-level":"max","boot-file":"x"},"new":[1]})");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->nvram, (Nvram{{"boot-file", "x"}}));
}

TEST(BootStateJson, SurvivesDamage) {
    std::mt19937 random(3);
    const std::string good = boot_state_to_json(full_state());
    for (int i = 0; i < 10'000; ++i) {
        std::string text = good;
        for (int n = 0; n < 3; ++n)
            text[random() % text.size()] = static_cast<char>(random());
        if (random() % 4 == 0)
            text.resize(random() % text.size());
        if (const auto read = boot_state_from_json(text)) {
            EXPECT_TRUE(check_boot_script(read->script));
            EXPECT_TRUE(check_boot_device(read->boot_device));
        }
    }
}

} // namespace
} // namespace lom::vmm
