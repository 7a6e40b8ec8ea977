#include "kvms/media/engine/image_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace lom::media {

namespace {

constexpr std::size_t touch_share = 4;
constexpr auto short_line = std::chrono::milliseconds(2);
constexpr std::size_t blocks_to_compare = 4;
constexpr std::size_t most_requests = 1024;
/// What demanded reads may have under way beyond the window.
constexpr std::size_t demand_surplus = 8 * block_size;
/// Boot loaders lie at an image's start, and read a little here and there, one after the other.
constexpr std::uint64_t start_blocks = 64;
constexpr auto idle_before_fill = std::chrono::seconds(1);

bool equal_where_held(const Block& held, const Block& other, std::size_t length) {
    for (std::size_t begin = 0; begin < length; begin += granule_size) {
        const std::size_t count = std::min(granule_size, length - begin);
        if (held.holds(granules_of(begin, begin + count)) &&
            std::memcmp(held.bytes + begin, other.bytes + begin, count) != 0)
            return false;
    }
    return true;
}

} // namespace

ImageReader::ImageReader(std::size_t cache_bytes, Answerer& answerer)
    : answerer_(answerer), cache_(cache_bytes) {}

std::uint64_t ImageReader::block_count() const {
    return (facts_.size + block_size - 1) / block_size;
}

std::uint32_t ImageReader::length_of(std::uint64_t index) const {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(block_size, facts_.size - index * block_size));
}

std::string_view ImageReader::head() const {
    return head_ ? std::string_view(head_->bytes, length_of(0)) : std::string_view();
}

// Reads

void ImageReader::read(Token token, std::uint64_t offset, std::size_t size, TimePoint now) {
    if (ejected_) {
        answerer_.fail(token);
        return;
    }
    if (!known_ || state_ == State::changed) {
        answerer_.refuse(token);
        return;
    }
    const std::uint64_t end = std::min<std::uint64_t>(facts_.size, offset + size);
    if (size == 0 || offset >= end) {
        answerer_.answer(token, {});
        return;
    }
    Read read{token, offset, static_cast<std::size_t>(end - offset), now + read_deadline, {}, 0};
    const std::uint64_t first = offset / block_size;
    const std::uint64_t last = (end - 1) / block_size;
    bool at_once = true;
    for (std::uint64_t index = first; index <= last; ++index) {
        const std::uint64_t start = index * block_size;
        take_from_store(index, granules_of(std::max(offset, start) - start,
                                           std::min<std::uint64_t>(end - start, block_size)));
        const BlockRef block = cache_.find(index);
        at_once = at_once && block &&
                  block->holds(granules_of(std::max(offset, start) - start,
                                           std::min<std::uint64_t>(end - start, block_size)));
        read.blocks.push_back(block);
    }
    if (!at_once && stalled_) {
        answerer_.refuse(token);
        return;
    }
    bytes_asked_ += read.size;
    if (at_once) {
        bytes_at_once_ += read.size;
        answer(read);
    } else {
        for (std::uint64_t index = first; index <= last; ++index)
            if (!read.blocks[index - first])
                read.blocks[index - first] = block_at(index);
        wait_for(std::move(read), now);
    }
    if (state_ == State::open)
        read_ahead(first, last);
}

/// The reads it waits for are asked for before any that are guessed.
void ImageReader::wait_for(Read read, TimePoint now) {
    const std::uint64_t key = next_read_++;
    const std::uint64_t first = read.offset / block_size;
    const std::uint64_t end = read.offset + read.size;
    for (std::size_t i = 0; i < read.blocks.size(); ++i) {
        const std::uint64_t start = (first + i) * block_size;
        const Granules needed = granules_of(std::max(read.offset, start) - start,
                                            std::min<std::uint64_t>(end - start, block_size));
        Block& block = *read.blocks[i];
        if (block.holds(needed))
            continue;
        ++read.missing;
        wants_.demand(first + i, key, needed, needed & ~block.valid & ~block.coming);
    }
    reads_.emplace(key, std::move(read));
    last_demand_ = now;
}

/// All granules of a block; the last one of the image may be short of some.
Granules ImageReader::whole(std::uint64_t index) const { return granules_of(0, length_of(index)); }

Granules ImageReader::unasked(std::uint64_t index) const {
    if (stored(index))
        return 0;
    const Block* block = cache_.peek(index);
    return whole(index) & ~(block == nullptr ? 0 : block->valid | block->coming);
}

BlockRef ImageReader::block_at(std::uint64_t index) {
    BlockRef block = cache_.find(index);
    if (!block) {
        block = cache_.make();
        cache_.put(index, block);
    }
    return block;
}

bool ImageReader::line_is_short() const { return window_.best_latency() <= short_line; }

/// Blocks worth fetching at a place where nobody has read before, if they were sure to be read: a
/// part of what the line carries while one read waits for it, lest the next read wait for them.
std::size_t ImageReader::first_touch() const {
    if (line_is_short())
        return 0;
    return window_.limit() / (window_.starting() ? touch_share / 2 : touch_share);
}

void ImageReader::read_ahead(std::uint64_t first, std::uint64_t last) {
    const std::size_t line = window_.limit();
    const std::size_t cap = std::min(line + line / 2, cache_.capacity() / 4);
    const auto guess =
        readahead_.on_read({first, last + 1}, {first_touch(), line / 2, cap, window_.starting()});
    if (guess.rest)
        fetch_ahead({first, last + 1});
    fetch_ahead(guess.ahead);
    fetch_ahead(guess.before);
}

void ImageReader::fetch_ahead(BlockRange range) {
    for (std::uint64_t index = range.begin; index < std::min(range.end, block_count()); ++index)
        wants_.ahead(index, unasked(index));
}

void ImageReader::answer(const Read& read) {
    std::vector<iovec> parts;
    std::size_t left = read.size;
    std::size_t skip = read.offset % block_size;
    for (const BlockRef& block : read.blocks) {
        const std::size_t count = std::min(left, block_size - skip);
        parts.push_back({block->bytes + skip, count});
        left -= count;
        skip = 0;
    }
    answerer_.answer(read.token, parts);
}

void ImageReader::serve_waiting(std::uint64_t index, const BlockRef& block) {
    for (const std::uint64_t key : wants_.arrived(index, block->valid)) {
        const auto found = reads_.find(key);
        if (found == reads_.end())
            continue; // has been refused
        if (--found->second.missing > 0)
            continue;
        answer(found->second);
        reads_.erase(found);
    }
}

void ImageReader::refuse_readers(std::uint64_t index) {
    for (const std::uint64_t key : wants_.abandon(index)) {
        if (const auto read = reads_.find(key); read != reads_.end()) {
            answerer_.fail(read->second.token);
            reads_.erase(read);
        }
    }
}

std::optional<TimePoint> ImageReader::next_deadline() const {
    if (reads_.empty())
        return std::nullopt;
    return reads_.begin()->second.deadline;
}

void ImageReader::expire(TimePoint now) {
    if (reads_.empty() || reads_.begin()->second.deadline > now)
        return;
    stall(); // one read waited in vain; the younger ones wait for the same source
}

void ImageReader::stall() {
    stalled_ = true;
    refuse_pending();
}

void ImageReader::refuse_pending() {
    for (const auto& [key, read] : reads_)
        answerer_.refuse(read.token);
    reads_.clear();
    forget_unsent_wants();
}

void ImageReader::forget_unsent_wants() {
    wants_.clear();
    readahead_.reset();
}

void ImageReader::eject() {
    ejected_ = true;
    for (const auto& [key, read] : reads_)
        answerer_.fail(read.token);
    reads_.clear();
    forget_unsent_wants();
}

// The source

void ImageReader::open(const ImageFacts& facts) {
    if (state_ == State::changed)
        return;
    stalled_ = false;
    if (known_ && facts != facts_) {
        image_changed();
        return;
    }
    facts_ = facts;
    known_ = true;
    verify_what_is_kept();
    to_verify_.assign(verify_against_.begin(), verify_against_.end());
    state_ = State::verifying;
    if (verify_against_.empty())
        opened();
}

/// Some of what was served before or is kept from earlier, for comparing with the server's.
void ImageReader::verify_what_is_kept() {
    verify_against_ = cache_.newest(blocks_to_compare - 1);
    if (head_)
        verify_against_.emplace_back(0, head_);
    if (!store_ || store_trusted_)
        return;
    for (const std::uint64_t index : store_->samples(blocks_to_compare)) {
        BlockRef block = cache_.make(); // of its own: nobody may be served it yet
        if (!store_->load(index, length_of(index), *block))
            continue;
        block->valid = whole(index);
        const bool again = std::any_of(verify_against_.begin(), verify_against_.end(),
                                       [&](const auto& entry) { return entry.first == index; });
        if (again || !store_samples_.insert(index).second)
            continue;
        verify_against_.emplace_back(index, std::move(block));
    }
}

void ImageReader::opened() {
    state_ = State::open;
    if (store_ && !store_trusted_)
        trust_store();
    if (head_)
        return;
    // Volume descriptor, boot catalogue: they are always wanted. In two pieces, the first one
    // small, because what lies between the replies tells the window what sort of line this is.
    if (const Granules missing = unasked(0); missing != 0)
        unfinished_.push_back(flight_of({0, missing & ~(missing - 1)}));
    wants_.ahead(0, unasked(0));
}

void ImageReader::trust_store() {
    store_trusted_ = true;
    take_from_store(0, whole(0));
    if (const BlockRef first = cache_.find(0); !head_ && first && first->holds(whole(0)))
        head_ = first;
}

bool ImageReader::stored(std::uint64_t index) const {
    return store_ && store_trusted_ && store_->has(index);
}

/// Fills the block from the store unless what is wanted of it is here or on its way.
void ImageReader::take_from_store(std::uint64_t index, Granules wanted) {
    if (!stored(index))
        return;
    if (const Block* block = cache_.peek(index);
        block != nullptr && ((wanted & ~block->valid) == 0 || block->coming != 0))
        return;
    const BlockRef block = block_at(index);
    if (!store_->load(index, length_of(index), *block))
        block->valid = 0; // what was there has been written over
    else
        block->valid = whole(index);
}

void ImageReader::keep(std::uint64_t index, const BlockRef& block) {
    if (store_ && store_trusted_ && block->holds(whole(index)))
        store_->save(index, length_of(index), block);
}

void ImageReader::lost() {
    for (const auto& [id, flight] : flights_)
        flight.block->coming &= ~flight.granules;
    for (const Flight& flight : unfinished_)
        flight.block->coming &= ~flight.granules;
    flights_.clear();
    unfinished_.clear();
    bytes_under_way_ = 0;
    to_verify_.clear();
    verify_against_.clear();
    store_samples_.clear();
    readahead_.reset();
    window_ = FlightWindow();
    if (state_ != State::changed)
        state_ = State::closed;
    wants_.ask_again([this](std::uint64_t index) {
        const Block* block = cache_.peek(index);
        return block == nullptr ? Granules{0} : block->valid;
    });
    if (!head_ && known_)
        wants_.ahead(0, unasked(0));
}

/// Whether another request may go out. A demanded one has to wait for what is under way, so there
/// must not be much more of it than the line holds.
bool ImageReader::room_for(bool demanded) const {
    const std::size_t window =
        std::min(window_.limit(), std::max<std::size_t>(cache_.capacity() / 2, 4)) * block_size;
    return flights_.size() < most_requests &&
           bytes_under_way_ < window + (demanded ? demand_surplus : 0);
}

ImageReader::Flight ImageReader::flight_of(const WantList::Piece& piece) {
    Flight flight{piece.index, block_at(piece.index), piece.granules};
    const auto first = static_cast<std::uint32_t>(std::countr_zero(piece.granules));
    const auto count = static_cast<std::uint32_t>(std::popcount(piece.granules));
    constexpr auto granule = static_cast<std::uint32_t>(granule_size);
    flight.begin = first * granule;
    flight.length = std::min(count * granule, length_of(piece.index) - flight.begin);
    flight.block->coming |= piece.granules;
    return flight;
}

ImageReader::Flight ImageReader::verification_of(std::uint64_t index) {
    Flight flight{index, cache_.make()};
    flight.length = length_of(index);
    flight.verifies = true;
    return flight;
}

/// The start of the image, as far as it costs nobody anything: not on a line where requests queue,
/// nor on one so short that it saves nothing.
std::optional<WantList::Piece> ImageReader::next_of_start() {
    if (!room_for(false) || !window_.roomy() || line_is_short())
        return std::nullopt;
    const std::uint64_t end =
        std::min<std::uint64_t>({start_blocks, block_count(), cache_.capacity() / 4});
    for (; start_next_ < end; ++start_next_) {
        if (const Granules missing = unasked(start_next_); missing != 0) {
            wants_.ahead(start_next_, missing);
            return wants_.next_ahead(static_cast<unsigned>(reply_limit_ / granule_size));
        }
    }
    return std::nullopt;
}

/// The whole image bit by bit, never so much at a time that somebody who comes had to wait long.
std::optional<WantList::Piece> ImageReader::next_fill(TimePoint now) {
    if (!fill_wanted_ || !can_be_filled() || !reads_.empty() ||
        now - last_demand_ < idle_before_fill ||
        bytes_under_way_ >= std::min(window_.limit() / 2 * block_size, window_.path_bytes()))
        return std::nullopt;
    for (; fill_next_ < block_count(); ++fill_next_) {
        if (const Granules missing = unasked(fill_next_); missing != 0) {
            wants_.ahead(fill_next_, missing);
            return wants_.next_ahead(static_cast<unsigned>(reply_limit_ / granule_size));
        }
        if (store_ && !stored(fill_next_) && cache_.contains(fill_next_))
            keep(fill_next_, cache_.find(fill_next_));
    }
    if (figures().held < facts_.size)
        fill_next_ = 0; // some has been lost again
    return std::nullopt;
}

bool ImageReader::can_be_filled() const {
    return block_count() <= cache_.capacity() || (store_ && block_count() <= store_->capacity());
}

std::optional<ImageReader::Flight> ImageReader::next_flight(TimePoint now) {
    const auto most = static_cast<unsigned>(reply_limit_ / granule_size);
    if (!unfinished_.empty()) {
        Flight flight = std::move(unfinished_.front());
        unfinished_.pop_front();
        return flight;
    }
    if (state_ == State::verifying && !to_verify_.empty()) {
        const std::uint64_t index = to_verify_.front().first;
        to_verify_.pop_front();
        return verification_of(index);
    }
    if (state_ != State::open)
        return std::nullopt;
    std::optional<WantList::Piece> piece = wants_.next_demanded(most);
    if (!piece && room_for(false))
        piece = wants_.next_ahead(most);
    if (!piece && wants_.idle())
        piece = next_of_start();
    if (!piece && wants_.idle())
        piece = next_fill(now);
    return piece ? std::optional<Flight>(flight_of(*piece)) : std::nullopt;
}

std::optional<BlockRequest> ImageReader::next_request(TimePoint now) {
    if (!room_for(wants_.demands())) {
        window_was_full_ = true;
        return std::nullopt;
    }
    std::optional<Flight> flight = next_flight(now);
    if (!flight) {
        window_was_full_ = !wants_.idle();
        return std::nullopt;
    }
    flight->mark = window_.sent(now);
    bytes_under_way_ += flight->left();
    const BlockRequest request{next_request_++,
                               flight->index * block_size + flight->begin + flight->filled,
                               flight->left()};
    flights_.emplace(request.id, std::move(*flight));
    return request;
}

std::span<char> ImageReader::room(std::uint32_t request, std::uint32_t length) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return {};
    const Flight& flight = found->second;
    if (length > flight.left())
        return {};
    return {flight.block->bytes + flight.begin + flight.filled, length};
}

void ImageReader::received(std::uint32_t request, std::uint32_t length, TimePoint now) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return;
    Flight flight = std::move(found->second);
    flights_.erase(found);
    bytes_under_way_ -= flight.left();
    if (length == 0) { // the end of the file, before the size it had
        image_changed();
        return;
    }
    stalled_ = false;
    bytes_received_ += length;
    window_.received(flight.mark, length, window_was_full_, now);
    flight.filled += length;
    if (flight.left() > 0) {
        // Old servers give at most 64 KiB at a time: from now on we ask for no more.
        reply_limit_ = std::clamp<std::size_t>(length / granule_size * granule_size, granule_size,
                                               reply_limit_);
        unfinished_.push_back(std::move(flight));
    } else if (flight.verifies) {
        compare(flight);
    } else {
        block_arrived(flight);
    }
}

void ImageReader::block_arrived(const Flight& flight) {
    Block& block = *flight.block;
    block.coming &= ~flight.granules;
    block.valid |= flight.granules;
    if (flight.index == 0 && !head_ && block.holds(whole(0)))
        head_ = flight.block;
    keep(flight.index, flight.block);
    serve_waiting(flight.index, flight.block);
}

void ImageReader::failed(std::uint32_t request) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return;
    const Flight flight = std::move(found->second);
    flights_.erase(found);
    bytes_under_way_ -= flight.left();
    flight.block->coming &= ~flight.granules;
    stalled_ = false;
    if (flight.verifies) // unreadable is not equal
        image_changed();
    else
        refuse_readers(flight.index);
}

void ImageReader::compare(const Flight& flight) {
    const auto served =
        std::find_if(verify_against_.begin(), verify_against_.end(),
                     [&](const auto& entry) { return entry.first == flight.index; });
    if (state_ != State::verifying || served == verify_against_.end())
        return;
    if (!equal_where_held(*served->second, *flight.block, length_of(flight.index))) {
        if (!store_samples_.contains(flight.index)) {
            image_changed();
            return;
        }
        store_->discard(); // of another image, though it has the same name, size and time
    }
    verify_against_.erase(served);
    if (verify_against_.empty())
        opened();
}

void ImageReader::image_changed() {
    state_ = State::changed;
    refuse_pending();
}

ImageReader::Figures ImageReader::figures() const {
    std::uint64_t held = cache_.bytes_held();
    if (store_ && store_trusted_) {
        held = 0;
        for (std::uint64_t index = 0; index < block_count(); ++index) {
            const Block* block = cache_.peek(index);
            const Granules valid = store_->has(index) ? whole(index) : block ? block->valid : 0;
            held += static_cast<std::uint64_t>(std::popcount(valid)) * granule_size;
        }
    }
    const Clock::duration latency = window_.best_latency();
    return {bytes_asked_, bytes_at_once_, std::min(held, facts_.size),
            latency == Clock::duration::max() ? Clock::duration{} : latency};
}

std::string volume_id(std::string_view head) {
    constexpr std::size_t descriptor = 16 * 2048;
    constexpr std::size_t id_offset = descriptor + 40;
    constexpr std::size_t id_length = 32;
    if (head.size() < id_offset + id_length || head.substr(descriptor, 6) != "\1CD001")
        return {};
    std::string id(head.substr(id_offset, id_length));
    std::replace_if(
        id.begin(), id.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '_');
    id.erase(id.find_last_not_of(' ') + 1);
    return id;
}

} // namespace lom::media
