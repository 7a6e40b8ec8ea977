// What outlives a lomd: the runtime record and QEMU's own log.
#include "vmm/qemu_process.h"
#include "vmm/runtime_record.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace lom::vmm::test {
namespace {

class Record : public testing::Test {
  protected:
    void SetUp() override {
        char folder[] = "/tmp/lom-record-XXXXXX";
        ASSERT_NE(mkdtemp(folder), nullptr);
        dir = folder;
    }
    void TearDown() override { std::filesystem::remove_all(dir); }
    std::optional<RuntimeRecord> load(const std::string& text) const {
        std::ofstream(dir + "/r") << text;
        return load_runtime_record(dir + "/r");
    }
    std::string dir;
};

TEST_F(Record, is_read_as_it_was_written) {
    const RuntimeRecord written{.process = {4711, 815},
                                .next = RuntimeRecord::Next::boot,
                                .plan = {.stop_at_ok = true,
                                         .order = {"rcdrom", "disk"},
                                         .firmware_setup = true,
                                         .args = "-s \"x\"",
                                         .once = true},
                                .media = {{{.file = "/a b/\"c\".iso"},
                                           {},
                                           {"/stick.img", true, true}}}};
    ASSERT_TRUE(save_runtime_record(dir + "/r", written));
    const auto read = load_runtime_record(dir + "/r");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->process.pid, 4711);
    EXPECT_EQ(read->process.start_time, 815U);
    EXPECT_EQ(read->next, written.next);
    EXPECT_TRUE(read->plan.stop_at_ok && read->plan.firmware_setup && read->plan.once);
    EXPECT_EQ(read->plan.order, written.plan.order);
    EXPECT_EQ(read->plan.args, written.plan.args);
    EXPECT_EQ(read->media, written.media);
    EXPECT_FALSE(save_runtime_record("/nowhere/r", written));
}

TEST_F(Record, nonsense_is_no_process) {
    EXPECT_FALSE(load_runtime_record(dir + "/none"));
    EXPECT_FALSE(load(""));
    EXPECT_FALSE(load("[1]"));
    const auto odd = load(R"({"pid":"x","start_time":-1,"next":"dance","plan":{"order":[1,"a"]},)"
                          R"("medium":7})");
    ASSERT_TRUE(odd);
    EXPECT_EQ(odd->process.pid, 0);
    EXPECT_EQ(odd->next, RuntimeRecord::Next::nothing);
    EXPECT_EQ(odd->plan.order, std::vector<std::string>{"a"});
    EXPECT_EQ(load(R"({"pid":99999999999})")->process.pid, 0);
}

TEST(QemuLog, tells_why_it_stopped) {
    EXPECT_EQ(shutdown_cause("warning: x\n"), ShutdownCause::guest_reset);
    EXPECT_EQ(shutdown_cause("qemu_system_shutdown_request reason=6\n"),
              ShutdownCause::guest_shutdown);
    EXPECT_EQ(shutdown_cause("qemu_system_shutdown_request reason=6\n"
                             "qemu_system_shutdown_request reason=4\n"),
              ShutdownCause::signal);
    EXPECT_EQ(shutdown_cause("qemu_system_shutdown_request reason="), ShutdownCause::unknown);
}

TEST(QemuLog, has_last_words) {
    EXPECT_EQ(last_words(""), "");
    EXPECT_EQ(last_words("first\nqemu: it broke\n\nqemu_system_shutdown_request reason=4\n"),
              "qemu: it broke");
    EXPECT_EQ(last_words(std::string(100000, 'x')).size(), 500U);
}

} // namespace
} // namespace lom::vmm::test
