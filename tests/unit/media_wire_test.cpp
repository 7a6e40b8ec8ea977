// Replies of an SFTP server, honest and hostile, whole and in pieces.
#include "kvms/media/sources/sftp_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>

namespace lom::media::sftp {
namespace {

std::string u32(std::uint32_t value) {
    std::string bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        bytes.push_back(static_cast<char>((value >> shift) & 0xffU));
    return bytes;
}

std::string packet(int type, const std::string& body) {
    return u32(static_cast<std::uint32_t>(body.size() + 1)) + static_cast<char>(type) + body;
}

std::string text(const std::string& bytes) {
    return u32(static_cast<std::uint32_t>(bytes.size())) + bytes;
}

/// Writes down what it hears; gives room to READ 7 only, of `asked` bytes.
class Notes : public ReplyListener {
  public:
    void on_version(std::uint32_t version) override { log << "v" << version << " "; }
    void on_status(std::uint32_t id, std::uint32_t code) override {
        log << "s" << id << "=" << code << " ";
    }
    void on_handle(std::uint32_t id, std::string_view handle) override {
        log << "h" << id << "=" << handle << " ";
    }
    void on_attributes(std::uint32_t id, const Attributes& a) override {
        log << "a" << id << "=" << a.size.value_or(0) << "," << a.permissions.value_or(0) << ","
            << a.modified.value_or(0) << " ";
    }
    std::span<char> room_for(std::uint32_t id, std::uint32_t length) override {
        if (id != 7 || length > asked)
            return {};
        asked = 0; // a second answer to it is one too many
        data.resize(length);
        return data;
    }
    void on_data(std::uint32_t id, std::uint32_t length) override {
        log << "d" << id << "=" << length << " ";
    }

    std::ostringstream log;
    std::string data;
    std::uint32_t asked = 100;
};

const std::string attributes_body =
    u32(0x1 | 0x2 | 0x4 | 0x8) + u32(1) + u32(2) + u32(0) + u32(0) + u32(0100644) + u32(5) + u32(9);

const std::string honest =
    packet(2, u32(3) + text("ext") + text("data")) +
    packet(101, u32(4) + u32(2) + text("no") + text("")) + packet(102, u32(5) + text("hand")) +
    packet(105, u32(6) + attributes_body) + packet(103, u32(7) + text("payload"));
const std::string heard = "v3 s4=2 h5=hand a6=4294967298,33188,9 d7=7 ";

TEST(SftpWire, RequestsAreAsTheProtocolSays) {
    EXPECT_EQ(init_request(), packet(1, u32(3)));
    EXPECT_EQ(stat_request(1, "/a"), packet(17, u32(1) + text("/a")));
    EXPECT_EQ(open_request(2, "/a"), packet(3, u32(2) + text("/a") + u32(1) + u32(0)));
    EXPECT_EQ(fstat_request(3, "hh"), packet(8, u32(3) + text("hh")));
    EXPECT_EQ(read_request(4, "hh", 0x100000002, 5),
              packet(5, u32(4) + text("hh") + u32(1) + u32(2) + u32(5)));
}

TEST(SftpWire, HonestRepliesWhole) {
    Notes notes;
    ASSERT_TRUE(ReplyParser(notes).feed(honest));
    EXPECT_EQ(notes.log.str(), heard);
    EXPECT_EQ(notes.data, "payload");
}

TEST(SftpWire, HonestRepliesInPiecesOfAnySize) {
    for (std::size_t piece = 1; piece < honest.size(); ++piece) {
        Notes notes;
        ReplyParser parser(notes);
        for (std::size_t start = 0; start < honest.size(); start += piece)
            ASSERT_TRUE(parser.feed(std::string_view(honest).substr(start, piece)));
        EXPECT_EQ(notes.log.str(), heard);
        EXPECT_EQ(notes.data, "payload");
    }
}

TEST(SftpWire, ShortAttributesAreTakenAsFarAsTheyGo) {
    Notes notes;
    ASSERT_TRUE(ReplyParser(notes).feed(packet(105, u32(1) + u32(0))));
    EXPECT_EQ(notes.log.str(), "a1=0,0,0 ");
}

struct Hostile {
    const char* name;
    std::string bytes;
};

class HostileReply : public testing::TestWithParam<Hostile> {};

TEST_P(HostileReply, EndsTheSessionWithASentence) {
    Notes notes;
    const auto fed = ReplyParser(notes).feed(GetParam().bytes);
    ASSERT_FALSE(fed);
    EXPECT_THAT(fed.fault().message, testing::StartsWith("The server does not speak SFTP"));
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, HostileReply,
    testing::Values(
        Hostile{"zero_length", u32(0) + "e"}, Hostile{"huge_length", u32(0xffffffff) + "e"},
        Hostile{"small_reply_too_long", u32(ReplyParser::max_small_reply + 1) + "e"},
        Hostile{"data_too_long", u32(ReplyParser::max_reply + 1) + "g"},
        Hostile{"data_without_head", packet(103, u32(7))},
        Hostile{"data_of_nothing", packet(103, u32(7) + text(""))},
        Hostile{"data_longer_inside", packet(103, u32(7) + u32(50) + "abc")},
        Hostile{"data_shorter_inside", packet(103, u32(7) + u32(2) + "abc")},
        Hostile{"data_with_wrong_id", packet(103, u32(8) + text("abc"))},
        Hostile{"data_more_than_asked", packet(103, u32(7) + text(std::string(101, 'x')))},
        Hostile{"data_twice", packet(103, u32(7) + text("a")) + packet(103, u32(7) + text("a"))},
        Hostile{"status_short", packet(101, u32(1) + "abc")},
        Hostile{"handle_short", packet(102, u32(1) + u32(100) + "abc")},
        Hostile{"handle_length_overflow", packet(102, u32(1) + u32(0xffffffff) + "abc")},
        Hostile{"handle_too_long", packet(102, u32(1) + text(std::string(257, 'h')))},
        Hostile{"attributes_short", packet(105, u32(1) + u32(0xf) + u32(1))},
        Hostile{"unknown_type", packet(200, u32(1))},
        Hostile{"a_request", packet(5, u32(1) + text("h"))}),
    [](const auto& hostile) { return hostile.param.name; });

TEST(SftpWire, RandomBytesNeverHurt) {
    std::mt19937 dice(1);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes = honest;
        for (int change = 0; change < 3; ++change)
            bytes[dice() % bytes.size()] = static_cast<char>(dice());
        Notes notes;
        (void)ReplyParser(notes).feed(bytes);
        EXPECT_LE(notes.data.size(), 100U);
    }
}

} // namespace
} // namespace lom::media::sftp
