// The engine: turns reads of any offset and size into block requests to the source, keeps blocks,
// reads ahead, and sees to it that every read is answered in time. It knows neither sockets nor
// FUSE: reads and replies come in, requests and answers go out, the clock is passed in. One thread.
//
// When the source is lost, reads stay queued; open() on the next one compares the image with what
// was served before, block for block on samples, and only then goes on. Two versions of an image
// are never mixed.
#pragma once

#include "kvms/media/block_cache.h"
#include "kvms/media/flight_window.h"
#include "kvms/media/readahead.h"
#include "kvms/media/source.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/uio.h>

namespace lom::media {

struct BlockRequest {
    std::uint32_t id = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
};

class ImageReader {
  public:
    /// Names a read towards its answerer.
    using Token = void*;
    enum class State {
        closed,    ///< no source; cached blocks are served
        verifying, ///< a new source is being compared with what was served
        open,
        changed, ///< the source shows another image: every read is refused, for good
    };

    /// Longest wait of a read: one over 30 s freezes QEMU's main loop.
    static constexpr auto read_deadline = std::chrono::seconds(20);

    class Answerer {
      public:
        virtual ~Answerer() = default;
        virtual void answer(Token token, std::span<const iovec> parts) = 0;
        virtual void refuse(Token token) = 0;             ///< the source is away: perhaps later
        virtual void fail(Token token) { refuse(token); } ///< it will never come
    };

    ImageReader(std::size_t cache_bytes, Answerer& answerer);

    void read(Token token, std::uint64_t offset, std::size_t size, TimePoint now);
    /// Refuses what has waited too long. Until something comes again, new reads that need the
    /// source are then refused at once: the kernel asks a failed page a second time, and two waits
    /// in a row would be too long.
    void expire(TimePoint now);
    std::optional<TimePoint> next_deadline() const;
    void refuse_pending();
    /// Fails pending and all further reads (the image is being ejected).
    void eject();

    void open(const ImageFacts& facts);
    /// The source has gone, and with it every request under way.
    void lost();
    std::optional<BlockRequest> next_request(TimePoint now);
    std::span<char> room(std::uint32_t request, std::uint32_t length);
    void received(std::uint32_t request, std::uint32_t length, TimePoint now);
    void failed(std::uint32_t request);

    State state() const { return state_; }
    const ImageFacts& facts() const { return facts_; }
    bool ejected() const { return ejected_; }
    std::uint64_t bytes_received() const { return bytes_received_; }
    /// The first block, once it has come; it holds the volume descriptor.
    std::string_view head() const;

  private:
    struct Read {
        Token token = nullptr;
        std::uint64_t offset = 0;
        std::size_t size = 0;
        TimePoint deadline;
        std::vector<BlockRef> blocks;
        std::size_t missing = 0;
    };
    /// A block that somebody waits for or that is read ahead.
    struct Want {
        std::vector<std::uint64_t> readers; ///< keys of reads_
        bool under_way = false;
    };
    struct Flight {
        std::uint64_t index = 0;
        BlockRef block;
        std::uint32_t filled = 0;
        FlightWindow::Mark mark;
        bool verifies = false;
    };

    std::uint32_t length_of(std::uint64_t index) const;
    std::uint64_t block_count() const;
    void want(std::uint64_t index, std::uint64_t reader);
    void read_ahead(std::uint64_t first, std::uint64_t last);
    void answer(const Read& read);
    void serve_waiting(std::uint64_t index, const BlockRef& block);
    void refuse_readers(std::uint64_t index);
    void refuse_before(TimePoint deadline_until);
    void forget_unsent_wants();
    void block_complete(Flight flight);
    void compare(const Flight& flight);
    void image_changed();
    std::optional<Flight> next_flight();
    std::optional<std::uint64_t> next_unsent(std::deque<std::uint64_t>& queue);

    Answerer& answerer_;
    BlockCache cache_;
    FlightWindow window_;
    Readahead readahead_;
    State state_ = State::closed;
    ImageFacts facts_;
    bool known_ = false;   ///< facts_ hold
    bool stalled_ = false; ///< a read expired and nothing has come since
    bool ejected_ = false;
    bool window_was_full_ = false;
    BlockRef head_;
    std::uint64_t bytes_received_ = 0;

    std::map<std::uint64_t, Read> reads_; ///< by order of arrival, so by deadline too
    std::uint64_t next_read_ = 0;
    std::unordered_map<std::uint64_t, Want> wants_;
    std::deque<std::uint64_t> demanded_;
    std::deque<std::uint64_t> prefetch_;
    std::deque<Flight> unfinished_; ///< answered in part: the rest has to be asked for
    std::unordered_map<std::uint32_t, Flight> flights_;
    std::uint32_t next_request_ = 16;
    std::deque<std::pair<std::uint64_t, BlockRef>> to_verify_;
    std::vector<std::pair<std::uint64_t, BlockRef>> verify_against_;
};

/// The volume id of an ISO 9660 image, printable ASCII only; empty when `head` is not one's start.
std::string volume_id(std::string_view head);

} // namespace lom::media
