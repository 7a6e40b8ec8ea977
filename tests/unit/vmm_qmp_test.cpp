#include "vmm/qmp.h"

#include <gtest/gtest.h>

namespace lom::vmm::test {
namespace {

using Kind = QmpMessage::Kind;

const std::string talk =
    "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
    "\r\n"
    "{\"return\": {}, \"id\": 1}\r\n"
    "{\"timestamp\": {\"seconds\": 1}, \"event\": \"SHUTDOWN\", "
    "\"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n"
    "{\"event\": \"DEVICE_TRAY_MOVED\", \"data\": {\"id\": \"cd0\", \"tray-open\": true}}\n"
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}, \"id\": 2}\r\n"
    "{\"return\": {\"status\": \"running\"}, \"id\": 3}\r\n";

void expect_talk(const std::vector<QmpMessage>& messages) {
    ASSERT_EQ(messages.size(), 6U);
    EXPECT_EQ(messages[0].kind, Kind::greeting);
    EXPECT_EQ(messages[1].kind, Kind::answer);
    EXPECT_EQ(messages[1].id, 1U);
    EXPECT_EQ(messages[2].name, "SHUTDOWN");
    EXPECT_EQ(messages[2].data.reason, "guest-reset");
    EXPECT_EQ(messages[3].data.id, "cd0");
    EXPECT_TRUE(messages[3].data.tray_open);
    EXPECT_EQ(messages[4].kind, Kind::fault);
    EXPECT_EQ(messages[4].id, 2U);
    EXPECT_EQ(messages[4].complaint, "no such thing");
    EXPECT_EQ(messages[5].data.status, "running");
}

TEST(QmpReader, understands_a_dialogue_at_once) {
    QmpReader reader;
    const auto messages = reader.feed(talk);
    ASSERT_TRUE(messages);
    expect_talk(*messages);
}

TEST(QmpReader, understands_a_dialogue_byte_by_byte) {
    QmpReader reader;
    std::vector<QmpMessage> all;
    for (const char byte : talk) {
        auto messages = reader.feed({&byte, 1});
        ASSERT_TRUE(messages);
        for (auto& message : *messages)
            all.push_back(std::move(message));
    }
    expect_talk(all);
}

TEST(QmpReader, refuses_what_is_not_qmp) {
    const std::string deep(100, '[');
    for (const std::string& line :
         {std::string("hello\n"), std::string("42\n"), std::string("[]\n"), std::string("{}\n"),
          std::string("{\"return\": {}\n"), std::string("\0\xff\xfe\n", 4), deep + "\n",
          std::string("{\"event\": \"\xc3\x28\"}\n"), std::string("{} {}\n")}) {
        QmpReader reader;
        EXPECT_FALSE(reader.feed(line)) << line;
    }
}

TEST(QmpReader, survives_members_of_the_wrong_type) {
    QmpReader reader;
    const auto messages =
        reader.feed("{\"event\": 5, \"data\": []}\n"
                    "{\"event\": \"RESET\", \"data\": {\"reason\": {}, \"tray-open\": 1}}\n"
                    "{\"return\": [], \"id\": -1}\n{\"return\": 1e99, \"id\": \"x\"}\n{\"error\": "
                    "3, \"id\": 7}\n");
    ASSERT_TRUE(messages);
    ASSERT_EQ(messages->size(), 5U);
    EXPECT_EQ((*messages)[0].name, "");
    EXPECT_EQ((*messages)[1].data.reason, "");
    EXPECT_EQ((*messages)[2].id, 0U);
    EXPECT_EQ((*messages)[3].id, 0U);
    EXPECT_EQ((*messages)[4].complaint, "QEMU refused without a reason");
}

TEST(QmpReader, takes_a_long_line_but_not_an_endless_one) {
    const std::string frame = "{\"event\": \"\"}\n";
    const std::string longest =
        "{\"event\": \"" + std::string(QmpReader::longest_line - frame.size() + 1, 'x') + "\"}\n";
    QmpReader fits;
    EXPECT_TRUE(fits.feed(longest));
    EXPECT_TRUE(fits.feed(longest)); // the limit is for a line, not for a connection
    QmpReader endless;
    bool refused = false;
    for (int i = 0; i < 40 && !refused; ++i)
        refused = !endless.feed(std::string(1U << 16U, 'x'));
    EXPECT_TRUE(refused);
}

TEST(QmpCommand, is_one_line_of_json) {
    EXPECT_EQ(qmp_command(7, "cont", ""), "{\"execute\":\"cont\",\"id\":7}\r\n");
    EXPECT_EQ(qmp_command(8, "eject", "{\"id\":\"cd0\"}"),
              "{\"execute\":\"eject\",\"id\":8,\"arguments\":{\"id\":\"cd0\"}}\r\n");
    EXPECT_EQ(json_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\n\"");
}

TEST(QmpDrives, are_found_by_id_or_path) {
    const auto drives = drives_of(
        "[{\"qdev\": \"cd0\", \"tray_open\": true, \"io-status\": \"ok\"},"
        "{\"qdev\": \"/machine/peripheral/disk0/virtio-backend\", \"io-status\": \"nospace\","
        " \"inserted\": {\"node-name\": \"disk0-image\", \"file\": \"/a\"}}, 5, {\"qdev\": []}]");
    ASSERT_EQ(drives.size(), 3U);
    EXPECT_EQ(drives[0].id, "cd0");
    EXPECT_TRUE(drives[0].tray_open);
    EXPECT_EQ(drives[0].file, "");
    EXPECT_EQ(drives[1].id, "disk0");
    EXPECT_EQ(drives[1].node, "disk0-image");
    EXPECT_EQ(drives[1].file, "/a");
    EXPECT_EQ(drives[1].io_status, "nospace");
    EXPECT_TRUE(drives_of("{}").empty());
    EXPECT_TRUE(drives_of("nonsense").empty());
}

TEST(QmpNodes, are_those_of_ours_in_their_order) {
    const auto nodes = nodes_of("[{\"node-name\": \"cd-10\"}, {\"node-name\": \"disk0-image\"},"
                                "{\"node-name\": \"cd-9\"}, {}]",
                                "cd-");
    EXPECT_EQ(nodes, (std::vector<std::string>{"cd-9", "cd-10"}));
}

} // namespace
} // namespace lom::vmm::test
