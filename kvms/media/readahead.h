// Guesses which blocks will be wanted next. Each of a few streams is a place where somebody reads
// forward; its read-ahead doubles as long as it is used. Works on block numbers; sans-IO, one
// thread; never more than the caller's cap.
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
    /// Blocks [begin, end) are being read. Answers what to fetch beyond them: `first` blocks when
    /// this is a new place, up to `cap` when the stream has proved itself.
    BlockRange on_read(BlockRange read, std::size_t first, std::size_t cap);
    /// Forgets all streams: what they had asked for will not come.
    void reset();

  private:
    struct Stream {
        std::uint64_t next = 0;  ///< first block not yet read
        std::uint64_t ahead = 0; ///< first block not yet asked for
        std::size_t size = 0;    ///< current read-ahead; 0: unused
        std::uint64_t used = 0;  ///< for replacing the least recently used
    };

    Stream* find(BlockRange read);
    Stream& replace_oldest();

    std::array<Stream, 16> streams_{};
    std::uint64_t uses_ = 0;
};

} // namespace lom::media
