// The engine without sockets or FUSE: a pretended server answers its requests, time is passed in.
#include "kvms/media/engine/block_cache.h"
#include "kvms/media/engine/flight_window.h"
#include "kvms/media/engine/image_reader.h"
#include "kvms/media/engine/readahead.h"
#include "kvms/media/engine/want_list.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

namespace lom::media {
namespace {

using namespace std::chrono_literals;

std::string random_image(std::size_t size, unsigned seed = 1) {
    std::mt19937 dice(seed);
    std::string bytes(size, '\0');
    for (char& byte : bytes)
        byte = static_cast<char>(dice());
    return bytes;
}

class ReaderTest : public testing::Test, protected ImageReader::Answerer {
  protected:
    void answer(ImageReader::Token token, std::span<const iovec> parts) override {
        std::string bytes;
        for (const iovec& part : parts)
            bytes.append(static_cast<const char*>(part.iov_base), part.iov_len);
        answers_[token] = bytes;
    }
    void refuse(ImageReader::Token token) override { refused_.insert(token); }

    void open(std::int64_t modified = 1) { reader_.open({image_.size(), modified, {}}); }
    ImageReader::Token read(std::uint64_t offset, std::size_t size) {
        auto* token = reinterpret_cast<ImageReader::Token>(++next_token_);
        reader_.read(token, offset, size, now_);
        return token;
    }
    /// Answers one request with at most `most` bytes.
    void answer_request(const BlockRequest& request, std::size_t most) {
        const std::string bytes =
            image_.substr(request.offset, std::min<std::size_t>(request.length, most));
        const auto length = static_cast<std::uint32_t>(bytes.size());
        const std::span<char> room = reader_.room(request.id, length);
        ASSERT_EQ(room.size(), length);
        std::copy(bytes.begin(), bytes.end(), room.begin());
        reader_.received(request.id, length, now_);
    }
    int serve(std::size_t most = block_size) {
        int count = 0;
        while (const auto request = reader_.next_request(now_)) {
            now_ += 1ms;
            answer_request(*request, most);
            ++count;
        }
        return count;
    }
    void expect_read(std::uint64_t offset, std::size_t size) {
        auto* const token = read(offset, size);
        serve();
        ASSERT_TRUE(answers_.contains(token));
        EXPECT_EQ(answers_[token],
                  offset < image_.size() ? image_.substr(offset, size) : std::string());
    }

    std::string image_ = random_image(5 * block_size + 1000);
    ImageReader reader_{64 * block_size, *this};
    TimePoint now_ = TimePoint{} + 1h;
    std::uintptr_t next_token_ = 0;
    std::map<ImageReader::Token, std::string> answers_;
    std::set<ImageReader::Token> refused_;
};

TEST_F(ReaderTest, ReadsOfAnyOffsetAndSize) {
    open();
    std::mt19937 dice(3);
    for (int round = 0; round < 500; ++round)
        expect_read(dice() % (image_.size() + 5000), dice() % (3 * block_size));
    expect_read(image_.size() - 1, 100);
    expect_read(0, 0);
}

TEST_F(ReaderTest, ShortRepliesAreAskedForAgain) {
    open();
    auto* const token = read(1000, 3 * block_size);
    EXPECT_GT(serve(50000), 9);
    EXPECT_EQ(answers_[token], image_.substr(1000, 3 * block_size));
}

TEST_F(ReaderTest, NoMoreIsAskedForThanTheServerGives) {
    image_ = random_image(40 * block_size);
    open();
    read(1000, 3 * block_size);
    serve(50000);
    read(35 * block_size, block_size);
    const auto request = reader_.next_request(now_);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->length, 50000 / granule_size * granule_size);
}

TEST_F(ReaderTest, ASmallReadCostsLittle) {
    open();
    serve();
    const std::uint64_t before = reader_.bytes_received();
    expect_read(3 * block_size + 5000, 2000); // a line so short that guessing does not pay
    EXPECT_EQ(reader_.bytes_received() - before, granule_size);
    expect_read(3 * block_size + 5000, 2 * granule_size);
    EXPECT_LE(reader_.bytes_received() - before, 4 * block_size);
}

TEST_F(ReaderTest, OnALongLineTheStartOfTheImageComesUnasked) {
    image_ = random_image(40 * block_size);
    open();
    const auto first = reader_.next_request(now_);
    const auto rest = reader_.next_request(now_);
    ASSERT_TRUE(first && rest);
    EXPECT_EQ(first->length, granule_size) << "small, to measure the line by";
    EXPECT_FALSE(reader_.next_request(now_)) << "nothing is known of the line yet";
    now_ += 50ms;
    answer_request(*first, block_size);
    now_ += 1ms;
    answer_request(*rest, block_size);
    read(30 * block_size, 1000);
    const auto demanded = reader_.next_request(now_);
    ASSERT_TRUE(demanded);
    EXPECT_EQ(demanded->offset / block_size, 30U) << "what is demanded goes first";
    std::set<std::uint64_t> asked;
    while (const auto request = reader_.next_request(now_))
        asked.insert(request->offset / block_size);
    EXPECT_TRUE(asked.contains(1) && asked.contains(5));
}

TEST_F(ReaderTest, OnAShortOrThinLineItDoesNot) {
    image_ = random_image(40 * block_size);
    for (const auto& [round_trip, gap] : {std::pair{1ms, 0ms}, std::pair{50ms, 20ms}}) {
        ImageReader reader(64 * block_size, *this);
        reader.open({image_.size(), 1, {}});
        const auto first = reader.next_request(now_);
        const auto rest = reader.next_request(now_);
        ASSERT_TRUE(first && rest);
        now_ += round_trip;
        (void)reader.room(first->id, first->length);
        reader.received(first->id, first->length, now_);
        now_ += gap;
        (void)reader.room(rest->id, rest->length);
        reader.received(rest->id, rest->length, now_);
        EXPECT_FALSE(reader.next_request(now_));
    }
}

TEST_F(ReaderTest, TheWholeImageIsFetchedWhenNobodyWantsAnything) {
    reader_.fill(true);
    open();
    auto* const token = read(4 * block_size, 10);
    serve();
    ASSERT_TRUE(answers_.contains(token));
    EXPECT_LT(reader_.bytes_received(), image_.size()) << "not at once";
    now_ += 5s;
    serve();
    EXPECT_EQ(reader_.bytes_received(), image_.size());
    EXPECT_EQ(reader_.figures().held, image_.size());
    reader_.lost();
    EXPECT_EQ(answers_[read(0, image_.size())], image_);
}

TEST_F(ReaderTest, WhatDoesNotFitIsNotFilled) {
    image_ = random_image(70 * block_size);
    reader_.fill(true);
    open();
    serve();
    now_ += 5s;
    serve();
    EXPECT_LT(reader_.bytes_received(), image_.size() / 2);
}

TEST_F(ReaderTest, BlocksAreFetchedOnce) {
    open();
    read(0, image_.size());
    EXPECT_EQ(serve(), 7) << "the first block comes in two pieces";
    expect_read(100, 4 * block_size);
    EXPECT_EQ(reader_.bytes_received(), image_.size());
}

TEST_F(ReaderTest, RoomIsOnlyGivenForWhatWasAsked) {
    open();
    const auto request = reader_.next_request(now_);
    ASSERT_TRUE(request);
    EXPECT_TRUE(reader_.room(request->id + 1, 10).empty());
    EXPECT_TRUE(reader_.room(request->id, request->length + 1).empty());
    answer_request(*request, block_size);
    EXPECT_TRUE(reader_.room(request->id, 10).empty()) << "a second answer";
}

TEST_F(ReaderTest, ReadsSurviveTheLossOfTheSource) {
    open();
    serve();
    auto* const token = read(4 * block_size, 100);
    ASSERT_TRUE(reader_.next_request(now_)); // under way, never answered
    reader_.lost();
    EXPECT_FALSE(reader_.next_request(now_)) << "there is no source";
    EXPECT_TRUE(answers_.empty());
    open();
    EXPECT_EQ(reader_.state(), ImageReader::State::verifying);
    serve();
    EXPECT_EQ(reader_.state(), ImageReader::State::open);
    EXPECT_EQ(answers_[token], image_.substr(4 * block_size, 100));
}

TEST_F(ReaderTest, CachedBlocksAreServedDuringAnOutage) {
    open();
    serve();
    reader_.lost();
    auto* const token = read(10, 100);
    EXPECT_EQ(answers_[token], image_.substr(10, 100));
}

TEST_F(ReaderTest, OtherSizeOrTimeIsAnotherImage) {
    open(1);
    serve();
    auto* const waiting = read(4 * block_size, 10);
    reader_.lost();
    open(2);
    EXPECT_EQ(reader_.state(), ImageReader::State::changed);
    EXPECT_TRUE(refused_.contains(waiting));
    EXPECT_TRUE(refused_.contains(read(0, 10))) << "not even what is cached: versions never mix";
    reader_.lost();
    open(1);
    EXPECT_EQ(reader_.state(), ImageReader::State::changed) << "for good";
}

TEST_F(ReaderTest, OtherBytesOfEqualSizeAndTimeAreAnotherImage) {
    open();
    serve();
    reader_.lost();
    image_ = random_image(image_.size(), 2);
    open();
    auto* const token = read(4 * block_size, 10);
    serve();
    EXPECT_EQ(reader_.state(), ImageReader::State::changed);
    EXPECT_TRUE(refused_.contains(token));
    EXPECT_FALSE(answers_.contains(token));
}

TEST_F(ReaderTest, AnEarlyEndOfFileIsAnotherImage) {
    open();
    serve();
    auto* const token = read(4 * block_size, 10);
    const auto request = reader_.next_request(now_);
    ASSERT_TRUE(request);
    reader_.received(request->id, 0, now_);
    EXPECT_EQ(reader_.state(), ImageReader::State::changed);
    EXPECT_TRUE(refused_.contains(token));
}

TEST_F(ReaderTest, AReadWaitsNoLongerThanItsDeadline) {
    open();
    serve();
    reader_.lost();
    auto* const token = read(4 * block_size, 10);
    now_ += 19s;
    reader_.expire(now_);
    EXPECT_FALSE(refused_.contains(token));
    now_ += 2s;
    reader_.expire(now_);
    EXPECT_TRUE(refused_.contains(token));
    // The kernel tries again at once; it must not wait another 20 s.
    EXPECT_TRUE(refused_.contains(read(4 * block_size, 10)));
    open();
    serve();
    expect_read(4 * block_size, 10);
}

TEST_F(ReaderTest, AfterAStallTheFirstAnswerHeals) {
    open();
    serve();
    auto* const token = read(4 * block_size, 10);
    const auto request = reader_.next_request(now_);
    ASSERT_TRUE(request);
    now_ += 21s;
    reader_.expire(now_);
    EXPECT_TRUE(refused_.contains(token));
    answer_request(*request, block_size);
    expect_read(3 * block_size, 10);
}

TEST_F(ReaderTest, AFailedBlockRefusesItsReadersOnly) {
    open();
    serve();
    auto* const bad = read(4 * block_size, 10);
    auto* const good = read(2 * block_size, 10);
    auto request = reader_.next_request(now_);
    ASSERT_EQ(request->offset, 4 * block_size);
    reader_.failed(request->id);
    serve();
    EXPECT_TRUE(refused_.contains(bad));
    EXPECT_EQ(answers_[good], image_.substr(2 * block_size, 10));
    expect_read(4 * block_size, 10);
}

TEST_F(ReaderTest, EjectRefusesEverything) {
    open();
    serve();
    auto* const waiting = read(4 * block_size, 10);
    reader_.eject();
    EXPECT_TRUE(refused_.contains(waiting));
    EXPECT_TRUE(refused_.contains(read(0, 10)));
}

TEST_F(ReaderTest, RandomLossesNeverLoseOrMixARead) {
    open();
    std::mt19937 dice(11);
    std::map<ImageReader::Token, std::pair<std::uint64_t, std::size_t>> asked;
    for (int round = 0; round < 3000; ++round) {
        const std::uint64_t offset = dice() % image_.size();
        const std::size_t size = 1 + dice() % (2 * block_size);
        asked[read(offset, size)] = {offset, size};
        for (auto step = dice() % 6; step > 0; --step)
            if (const auto request = reader_.next_request(now_))
                if (dice() % 4 != 0)
                    answer_request(*request, 1 + dice() % (2 * block_size));
        if (dice() % 5 == 0) {
            reader_.lost();
            open();
        }
    }
    reader_.lost();
    open();
    serve();
    EXPECT_TRUE(refused_.empty());
    for (const auto& [token, range] : asked)
        ASSERT_EQ(answers_.at(token), image_.substr(range.first, range.second));
}

TEST(VolumeId, IsPrintableOrEmpty) {
    std::string head(40000, '\0');
    EXPECT_EQ(volume_id(head), "");
    head.replace(32768, 6, "\1CD001");
    head.replace(32808, 32, "DISC\x1b[31m\xff 1                    ");
    EXPECT_EQ(volume_id(head), "DISC_[31m_ 1");
    EXPECT_EQ(volume_id(std::string_view(head).substr(0, 32800)), "");
}

TEST(BlockCache, ForgetsTheLeastRecentlyUsed) {
    BlockCache cache(16 * block_size);
    ASSERT_EQ(cache.capacity(), 16U);
    for (std::uint64_t index = 0; index < 16; ++index)
        cache.put(index, cache.make());
    EXPECT_NE(cache.find(0), nullptr);
    cache.put(100, cache.make());
    EXPECT_TRUE(cache.contains(0));
    EXPECT_FALSE(cache.contains(1));
    EXPECT_TRUE(cache.newest(2).empty()) << "nothing has come";
    cache.find(100)->valid = 1;
    ASSERT_EQ(cache.newest(2).size(), 1U);
    EXPECT_EQ(cache.newest(2).front().first, 100U);
}

TEST(BlockCache, AHeldBlockStays) {
    BlockCache cache(0);
    const BlockRef held = cache.make();
    held->bytes[0] = 'x';
    cache.put(0, held);
    for (std::uint64_t index = 1; index <= 2 * cache.capacity(); ++index) {
        BlockRef block = cache.make();
        EXPECT_NE(block, held);
        block->bytes[0] = 'y';
        cache.put(index, std::move(block));
    }
    EXPECT_EQ(cache.find(0), held);
    EXPECT_EQ(cache.size(), cache.capacity());
    EXPECT_EQ(held->bytes[0], 'x');
}

TEST(Granules, AreThoseThatBytesTouch) {
    EXPECT_EQ(granules_of(0, 1), 1U);
    EXPECT_EQ(granules_of(0, block_size), all_granules);
    EXPECT_EQ(granules_of(granule_size - 1, granule_size + 1), 3U);
    EXPECT_EQ(granules_of(block_size - 1, block_size), 1U << 31U);
}

TEST(WantList, DemandsGoFirstInPiecesThatAdjoin) {
    WantList wants;
    wants.ahead(7, all_granules);
    wants.demand(9, 1, 0xff, 0x33);
    auto piece = wants.next_demanded(32);
    ASSERT_TRUE(piece);
    EXPECT_EQ(piece->index, 9U);
    EXPECT_EQ(piece->granules, 0x03U);
    EXPECT_EQ(wants.next_demanded(1)->granules, 0x10U) << "no more than the server gives at a time";
    EXPECT_EQ(wants.next_demanded(32)->granules, 0x20U);
    EXPECT_FALSE(wants.next_demanded(32));
    EXPECT_EQ(wants.next_ahead(32)->granules, all_granules);
    EXPECT_TRUE(wants.arrived(9, 0x7f).empty());
    EXPECT_EQ(wants.arrived(9, 0xff), std::vector<WantList::Reader>{1});
    EXPECT_TRUE(wants.arrived(9, 0xff).empty());
}

TEST(WantList, AfterALossOnlyWhatIsWaitedForIsAskedAgain) {
    WantList wants;
    wants.demand(3, 1, 0xf0, 0xf0);
    wants.demand(2, 2, 0x0f, 0x0f);
    wants.ahead(1, all_granules);
    while (wants.next_demanded(32)) {
    }
    wants.ask_again([](std::uint64_t index) { return index == 3 ? Granules{0x30} : Granules{0}; });
    EXPECT_EQ(wants.next_demanded(32)->index, 2U);
    EXPECT_EQ(wants.next_demanded(32)->granules, 0xc0U);
    EXPECT_FALSE(wants.next_ahead(32));
}

TEST(Readahead, GrowsWithWhatWasRead) {
    Readahead readahead;
    std::uint64_t ahead = 3;
    std::size_t most = 0;
    for (std::uint64_t block = 0; block < 1000; ++block) {
        const BlockRange range = readahead.on_read({block, block + 1}, {4, 64, 64, false}).ahead;
        if (range.empty())
            continue;
        EXPECT_TRUE(block == 0 || range.begin == ahead) << "no gap, nothing twice";
        ahead = range.end;
        most = std::max<std::size_t>(most, ahead - block - 1);
        EXPECT_LE(ahead - block - 1, std::max<std::size_t>(4, block / 2 + 2));
    }
    EXPECT_EQ(most, 64U);
}

TEST(Readahead, AnUnknownLineIsExplored) {
    Readahead readahead;
    std::size_t most = 0;
    for (std::uint64_t block = 0; block < 40; ++block) {
        const BlockRange range = readahead.on_read({block, block + 1}, {4, 64, 64, true}).ahead;
        if (!range.empty())
            most = std::max<std::size_t>(most, range.end - block - 1);
    }
    EXPECT_GE(most, 56U) << "it asks for several at once";
    EXPECT_LE(most, 64U);
}

TEST(Readahead, PlacesThatNobodyReadsOnFromTeachIt) {
    Readahead readahead;
    const auto jump = [&](std::uint64_t block) {
        return readahead.on_read({block, block + 1}, {64, 64, 64, false});
    };
    const auto first = jump(100000);
    EXPECT_GT(first.ahead.end - first.ahead.begin, 16U);
    EXPECT_FALSE(first.before.empty());
    EXPECT_EQ(first.before.end, 100000U);
    for (std::uint64_t i = 1; i < 60; ++i)
        jump(1000 * i);
    EXPECT_TRUE(jump(200000).ahead.empty());
    EXPECT_TRUE(jump(300000).before.empty());
    for (std::uint64_t i = 1; i < 60; ++i) { // and the other way round
        jump(400000 + 1000 * i);
        jump(400001 + 1000 * i);
    }
    EXPECT_GT(readahead.luck(), 0.8);
}

TEST(Readahead, StreamsAreKeptApart) {
    Readahead readahead;
    std::uint64_t asked = 5001;
    int times = 0;
    for (std::uint64_t block = 0; block < 1000; ++block) {
        readahead.on_read({block, block + 1}, {4, 64, 64, false});
        const auto guess = readahead.on_read({5000 + block, 5001 + block}, {4, 64, 64, false});
        if (!guess.ahead.empty()) {
            EXPECT_EQ(guess.ahead.begin, asked);
            asked = guess.ahead.end;
            times += block >= 400 ? 1 : 0;
        }
        EXPECT_GE(asked, 5001 + block);
        EXPECT_TRUE(block < 400 || asked >= 5001 + block + 56);
        EXPECT_LE(asked, 5001 + block + 64);
    }
    EXPECT_LE(times, 600 / 8 + 1) << "several at once";
}

/// A line with a server at its end that answers in order, always as full as the window allows.
class WindowTest : public testing::Test {
  protected:
    void serve(std::size_t blocks, Clock::duration round_trip, double bytes_per_second) {
        const auto way = std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(block_size / bytes_per_second));
        while (blocks-- > 0) {
            while (under_way_.size() < window_.limit()) {
                free_ = std::max(free_, now_ + round_trip) + way;
                under_way_.push_back({window_.sent(now_), free_});
            }
            now_ = under_way_.front().second;
            window_.received(under_way_.front().first, block_size, true, now_);
            under_way_.pop_front();
        }
    }
    /// As the engine begins: a small piece and the rest of a block.
    void begin(Clock::duration round_trip, double bytes_per_second) {
        const auto first = window_.sent(now_);
        const auto second = window_.sent(now_);
        now_ += round_trip;
        window_.received(first, granule_size, false, now_);
        now_ += std::chrono::duration_cast<Clock::duration>(
            std::chrono::duration<double>(block_size / bytes_per_second));
        window_.received(second, block_size - granule_size, false, now_);
    }

    static constexpr double megabyte = 1e6;
    FlightWindow window_;
    TimePoint now_ = TimePoint{} + 1h;
    TimePoint free_{};
    std::deque<std::pair<FlightWindow::Mark, TimePoint>> under_way_;
};

TEST_F(WindowTest, FillsALongWideLineWithinAFewRoundTrips) {
    begin(50ms, 300 * megabyte);
    EXPECT_TRUE(window_.roomy());
    EXPECT_GE(window_.limit(), 2 * FlightWindow::first_limit);
    const TimePoint begun = now_;
    serve(300, 50ms, 300 * megabyte);
    EXPECT_LT(now_ - begun, 350ms);
    EXPECT_GT(window_.limit() * block_size, 0.05 * 300 * megabyte) << "what the line holds";
}

TEST_F(WindowTest, AThinLineIsKnownByTheFirstBlock) {
    begin(50ms, 12.5 * megabyte);
    EXPECT_FALSE(window_.roomy());
    EXPECT_EQ(window_.limit(), FlightWindow::first_limit);
    serve(300, 50ms, 12.5 * megabyte);
    EXPECT_FALSE(window_.starting());
    EXPECT_LT(window_.limit(), 2 * FlightWindow::first_limit);
    EXPECT_NEAR(static_cast<double>(window_.path_bytes()), 0.06 * 12.5 * megabyte, block_size);
}

TEST_F(WindowTest, OnAShortLineLittleIsUnderWay) {
    begin(200us, 900 * megabyte);
    serve(5000, 200us, 900 * megabyte);
    EXPECT_LE(window_.limit(), 2 * FlightWindow::first_limit);
}

TEST_F(WindowTest, ShrinksWhenRepliesQueue) {
    begin(10ms, 500 * megabyte);
    serve(500, 10ms, 500 * megabyte);
    const std::size_t wide = window_.limit();
    serve(300, 10ms, 5 * megabyte);
    EXPECT_LT(window_.limit(), wide / 4);
}

} // namespace
} // namespace lom::media
