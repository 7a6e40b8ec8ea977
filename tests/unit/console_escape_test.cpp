#include "kvms/console/escape.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace lom::kvms {
namespace {

struct Outcome {
    std::string pass;
    bool escaped = false;
    std::string rest;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Feeds `typed` in pieces whose sizes `next_size` gives; what stays held back counts as passed.
template <typename NextSize>
Outcome feed(EscapeFilter& filter, const std::string& typed, NextSize next_size) {
    Outcome outcome;
    for (std::size_t at = 0; at < typed.size();) {
        const std::string piece = typed.substr(at, next_size());
        at += piece.size();
        const auto fed = filter.feed(piece);
        outcome.pass += fed.pass;
        if (fed.escaped)
            return {outcome.pass, true, std::string(fed.rest) + typed.substr(at)};
    }
    outcome.pass += filter.flush();
    return outcome;
}

/// The definition: everything before the first occurrence passes.
Outcome expected(const std::string& sequence, const std::string& typed) {
    const auto at = typed.find(sequence);
    if (at == std::string::npos)
        return {typed, false, ""};
    return {typed.substr(0, at), true, typed.substr(at + sequence.size())};
}

TEST(Escape, is_found_in_one_piece_with_what_follows_left_alone) {
    EscapeFilter filter;
    const auto fed = filter.feed("ls\r#.show /SP");
    EXPECT_EQ(fed.pass, "ls\r");
    EXPECT_TRUE(fed.escaped);
    EXPECT_EQ(fed.rest, "show /SP");
    EXPECT_FALSE(filter.pending());
}

TEST(Escape, is_found_across_packets) {
    EscapeFilter filter;
    EXPECT_EQ(filter.feed("#").pass, "");
    EXPECT_TRUE(filter.pending());
    EXPECT_TRUE(filter.feed(".").escaped);
}

TEST(Escape, a_lone_first_byte_goes_on_with_the_next_different_byte) {
    EscapeFilter filter;
    EXPECT_EQ(filter.feed("#").pass, "");
    EXPECT_EQ(filter.feed("!").pass, "#!");
    EXPECT_FALSE(filter.pending());
}

TEST(Escape, a_lone_first_byte_goes_on_when_the_timer_flushes_it_and_no_longer_counts) {
    EscapeFilter filter;
    (void)filter.feed("#");
    EXPECT_EQ(filter.flush(), "#");
    EXPECT_FALSE(filter.pending());
    const auto fed = filter.feed(".");
    EXPECT_FALSE(fed.escaped);
    EXPECT_EQ(fed.pass, ".");
}

TEST(Escape, typed_twice_the_first_byte_passes_and_the_second_may_still_begin_the_sequence) {
    EscapeFilter filter;
    EXPECT_EQ(filter.feed("##").pass, "#");
    EXPECT_TRUE(filter.feed(".").escaped);
}

TEST(Escape, an_empty_sequence_never_matches) {
    EscapeFilter filter("");
    const auto fed = filter.feed("#.#.");
    EXPECT_EQ(fed.pass, "#.#.");
    EXPECT_FALSE(fed.escaped);
    EXPECT_EQ(filter.flush(), "");
}

TEST(Escape, after_an_escape_the_filter_starts_afresh) {
    EscapeFilter filter;
    EXPECT_TRUE(filter.feed("a#.").escaped);
    EXPECT_EQ(filter.feed(".b").pass, ".b");
    EXPECT_TRUE(filter.feed("#.").escaped);
}

TEST(Escape, does_not_depend_on_how_the_bytes_are_split) {
    std::mt19937 random(7); // NOLINT: the same run each time
    for (const std::string sequence : {"#.", "~~.", "\x1b(", "aabaa", "#", "abab"}) {
        // Mostly bytes of the sequence: near misses and overlaps are the rule, not the exception.
        const std::string alphabet = sequence + sequence + "x";
        for (int round = 0; round < 3000; ++round) {
            std::string typed;
            for (auto left = random() % 24U; left > 0; --left)
                typed += alphabet[random() % alphabet.size()];
            EscapeFilter whole(sequence);
            EscapeFilter bytewise(sequence);
            EscapeFilter pieces(sequence);
            const Outcome wanted = expected(sequence, typed);
            ASSERT_EQ(feed(whole, typed, [&] { return typed.size(); }), wanted) << typed;
            ASSERT_EQ(feed(bytewise, typed, [] { return 1U; }), wanted) << typed;
            ASSERT_EQ(feed(pieces, typed, [&] { return 1U + random() % 4U; }), wanted) << typed;
        }
    }
}

} // namespace
} // namespace lom::kvms
