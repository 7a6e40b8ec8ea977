// The engine: turns reads of any offset and size into block requests to the source, keeps blocks,
// reads ahead, and sees to it that every read is answered in time. It knows neither sockets nor
// FUSE: reads and replies come in, requests and answers go out, the clock is passed in. One thread.
//
// When the source is lost, reads stay queued; open() on the next one compares the image with what
// was served before, block for block on samples, and only then goes on. Two versions of an image
// are never mixed.
#pragma once

#include "kvms/media/engine/block_cache.h"
#include "kvms/media/engine/block_store.h"
#include "kvms/media/engine/flight_window.h"
#include "kvms/media/engine/readahead.h"
#include "kvms/media/engine/source.h"
#include "kvms/media/engine/want_list.h"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
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
    /// The source will not be back soon: refuses pending reads, and new ones at once.
    void stall();
    /// Fails pending and all further reads (the image is being ejected).
    void eject();

    void open(const ImageFacts& facts);
    /// Whole blocks are kept there too, and looked for there once samples of it have been compared
    /// with the server's. Before the first open(); outlives this.
    void use(BlockStore* store) { store_ = store; }
    /// The source has gone, and with it every request under way.
    void lost();
    std::optional<BlockRequest> next_request(TimePoint now);
    std::span<char> room(std::uint32_t request, std::uint32_t length);
    void received(std::uint32_t request, std::uint32_t length, TimePoint now);
    void failed(std::uint32_t request);

    State state() const { return state_; }
    const ImageFacts& facts() const { return facts_; }
    bool ejected() const { return ejected_; }
    /// A read waited in vain, and nothing has come since.
    bool stalled() const { return stalled_; }
    std::uint64_t bytes_received() const { return bytes_received_; }
    /// The first block, once it has come; it holds the volume descriptor.
    std::string_view head() const;
    /// Whether to fetch the whole image while nobody wants anything, if the cache can hold it.
    void fill(bool wanted) { fill_wanted_ = wanted; }
    struct Figures {
        std::uint64_t reads = 0;   ///< bytes asked of us
        std::uint64_t hits = 0;    ///< of these, there at once
        std::uint64_t held = 0;    ///< bytes of the image that need no server
        Clock::duration latency{}; ///< of the fastest replies lately; 0: unknown
    };
    Figures figures() const;
    /// Whether a read of its own costs no more than to have guessed it.
    bool line_is_short() const;

  private:
    struct Read {
        Token token = nullptr;
        std::uint64_t offset = 0;
        std::size_t size = 0;
        TimePoint deadline;
        std::vector<BlockRef> blocks;
        std::size_t missing = 0; ///< blocks of which something has to come
    };
    struct Flight {
        std::uint64_t index = 0;
        BlockRef block;
        Granules granules = 0;
        std::uint32_t begin = 0; ///< in the block
        std::uint32_t length = 0;
        std::uint32_t filled = 0;
        FlightWindow::Mark mark;
        bool verifies = false;
        std::uint32_t left() const { return length - filled; }
    };

    std::uint32_t length_of(std::uint64_t index) const;
    std::uint64_t block_count() const;
    Granules whole(std::uint64_t index) const;
    Granules unasked(std::uint64_t index) const;
    BlockRef block_at(std::uint64_t index);
    void wait_for(Read read, TimePoint now);
    void read_ahead(std::uint64_t first, std::uint64_t last);
    void fetch_ahead(BlockRange range);
    bool stored(std::uint64_t index) const;
    void take_from_store(std::uint64_t index, Granules wanted);
    void keep(std::uint64_t index, const BlockRef& block);
    void verify_what_is_kept();
    void trust_store();
    bool can_be_filled() const;
    void opened();
    std::size_t first_touch() const;
    void answer(const Read& read);
    void serve_waiting(std::uint64_t index, const BlockRef& block);
    void refuse_readers(std::uint64_t index);
    void forget_unsent_wants();
    void block_arrived(const Flight& flight);
    void compare(const Flight& flight);
    void image_changed();
    bool room_for(bool demanded) const;
    std::optional<Flight> next_flight(TimePoint now);
    std::optional<WantList::Piece> next_of_start();
    std::optional<WantList::Piece> next_fill(TimePoint now);
    Flight flight_of(const WantList::Piece& piece);
    Flight verification_of(std::uint64_t index);

    Answerer& answerer_;
    BlockCache cache_;
    FlightWindow window_;
    Readahead readahead_;
    WantList wants_;
    State state_ = State::closed;
    ImageFacts facts_;
    bool known_ = false;   ///< facts_ hold
    bool stalled_ = false; ///< a read expired and nothing has come since
    bool ejected_ = false;
    bool window_was_full_ = false;
    BlockRef head_;
    std::uint64_t bytes_received_ = 0;
    std::uint64_t bytes_asked_ = 0;
    std::uint64_t bytes_at_once_ = 0;

    std::map<std::uint64_t, Read> reads_; ///< by order of arrival, so by deadline too
    std::uint64_t next_read_ = 0;
    std::deque<Flight> unfinished_; ///< answered in part: the rest has to be asked for
    std::unordered_map<std::uint32_t, Flight> flights_;
    std::size_t bytes_under_way_ = 0;
    std::size_t reply_limit_ = block_size; ///< what the server gives at a time
    std::uint32_t next_request_ = 16;
    std::deque<std::pair<std::uint64_t, BlockRef>> to_verify_;
    std::vector<std::pair<std::uint64_t, BlockRef>> verify_against_;

    BlockStore* store_ = nullptr;
    bool store_trusted_ = false;
    std::set<std::uint64_t> store_samples_; ///< of verify_against_

    std::uint64_t start_next_ = 0; ///< of the image's first blocks

    bool fill_wanted_ = false;
    std::uint64_t fill_next_ = 0;
    TimePoint last_demand_{};
};

/// The volume id of an ISO 9660 image, printable ASCII only; empty when `head` is not one's start.
std::string volume_id(std::string_view head);

} // namespace lom::media
