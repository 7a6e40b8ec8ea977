// Guesses which blocks will be wanted next. Each of a few streams is a place where somebody reads
// forward; what is read ahead of it grows with what was read, so that at the end of a file little
// has been fetched in vain. A new place gets some blocks before and behind it, fewer the more such
// guesses failed. Works on block numbers; sans-IO, one thread; never more than the caller's cap.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace lom::media {

struct BlockRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0; ///< not included
    bool empty() const { return begin >= end; }
};

class Readahead {
  public:
    struct Limits {
        std::size_t first = 0; ///< blocks at a new place, if every guess came true
        std::size_t line = 0;  ///< so much ahead keeps the line busy
        std::size_t cap = 0;   ///< most ahead of a stream
        bool explore = false;  ///< the line may carry far more: find out
    };
    struct Guess {
        BlockRange ahead;  ///< behind the read, first to last
        BlockRange before; ///< in front of it
        bool rest = false; ///< the rest of the blocks that are being read, too
    };

    /// Blocks [begin, end) are being read. Answers what to fetch besides.
    Guess on_read(BlockRange read, const Limits& limits);
    /// How often a new place was read on from, lately: 0 to 1.
    double luck() const { return luck_; }
    /// Forgets all streams: what they had asked for will not come.
    void reset();

  private:
    struct Stream {
        std::uint64_t begin = 0; ///< first block asked for
        std::uint64_t next = 0;  ///< first block not yet read
        std::uint64_t ahead = 0; ///< first block not yet asked for
        std::size_t size = 0;    ///< current read-ahead
        std::uint64_t read = 0;  ///< blocks
        std::uint64_t used = 0;  ///< when, for replacing the least recently used; 0: not in use
        bool proved = false;     ///< read on from
    };

    Stream* find(BlockRange read);
    Stream& replace_oldest();
    Guess start(BlockRange read, const Limits& limits);

    std::array<Stream, 16> streams_{};
    std::uint64_t uses_ = 0;
    double luck_ = 0.75;
};

} // namespace lom::media
