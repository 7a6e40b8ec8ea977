#include "sp/service/seat_request.h"

#include <gtest/gtest.h>

#include <set>

namespace lom {
namespace {

using namespace std::chrono_literals;

struct SeatTest : testing::Test {
    Loop loop;
    std::set<std::string> present{"1", "2", "3"};
    std::string holder = "1";
    SeatRequest seat{loop,
                     {[this] { return holder; },
                      [this](const std::string& to) { return present.contains(to); },
                      [this](const std::string& to) {
                          holder = to;
                          seat.review(); // as whoever watches the seats does
                      },
                      [] {}},
                     50ms};

    void wait(std::chrono::milliseconds time) {
        const auto stop = loop.after(time, [this] { loop.stop(); });
        loop.run();
    }
};

TEST_F(SeatTest, the_holder_gives_it) {
    ASSERT_TRUE(seat.ask("2", "bob"));
    EXPECT_EQ("bob", seat.who());
    EXPECT_EQ("1", holder);
    ASSERT_TRUE(seat.give("1"));
    EXPECT_EQ("2", holder);
    EXPECT_EQ("", seat.who());
}

TEST_F(SeatTest, the_holder_keeps_it_and_time_then_changes_nothing) {
    ASSERT_TRUE(seat.ask("2", "bob"));
    ASSERT_TRUE(seat.keep("1"));
    wait(120ms);
    EXPECT_EQ("1", holder);
}

TEST_F(SeatTest, silence_gives_it) {
    ASSERT_TRUE(seat.ask("2", "bob"));
    wait(120ms);
    EXPECT_EQ("2", holder);
}

TEST_F(SeatTest, who_does_not_hold_it_cannot_answer) {
    EXPECT_FALSE(seat.give("1")); // nobody asks
    ASSERT_TRUE(seat.ask("2", "bob"));
    EXPECT_FALSE(seat.give("2"));
    EXPECT_FALSE(seat.keep("3"));
    EXPECT_FALSE(seat.ask("1", "ann")); // has it
    EXPECT_FALSE(seat.ask("3", "eve")); // one at a time
    EXPECT_EQ("1", holder);
}

TEST_F(SeatTest, a_holder_who_goes_gives_it_and_a_free_one_is_given_at_once) {
    ASSERT_TRUE(seat.ask("2", "bob"));
    holder.clear();
    seat.review();
    EXPECT_EQ("2", holder);
    holder.clear();
    ASSERT_TRUE(seat.ask("3", "eve"));
    EXPECT_EQ("3", holder);
    holder.clear();
    EXPECT_FALSE(seat.ask("9", "nobody's viewer"));
}

TEST_F(SeatTest, who_asked_and_went_gets_nothing) {
    ASSERT_TRUE(seat.ask("2", "bob"));
    present.erase("2");
    seat.review();
    EXPECT_EQ("", seat.who());
    wait(120ms);
    EXPECT_EQ("1", holder);
}

} // namespace
} // namespace lom
