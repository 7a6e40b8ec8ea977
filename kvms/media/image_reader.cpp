#include "kvms/media/image_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace lom::media {

namespace {

constexpr std::size_t min_first_readahead = 512U << 10U;
constexpr std::size_t max_first_readahead = 8U << 20U;
constexpr std::size_t blocks_to_compare = 4;
constexpr std::uint64_t nobody = std::numeric_limits<std::uint64_t>::max();

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
    return head_ ? std::string_view(head_->bytes.get(), length_of(0)) : std::string_view();
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
    for (std::uint64_t index = first; index <= last; ++index) {
        read.blocks.push_back(cache_.find(index));
        read.missing += read.blocks.back() == nullptr ? 1 : 0;
    }
    if (read.missing == 0) {
        answer(read);
    } else if (stalled_) {
        answerer_.refuse(token);
        return;
    } else {
        const std::uint64_t key = next_read_++;
        for (std::uint64_t index = first; index <= last; ++index)
            if (!read.blocks[index - first])
                want(index, key);
        reads_.emplace(key, std::move(read));
    }
    if (state_ == State::open)
        read_ahead(first, last);
}

void ImageReader::want(std::uint64_t index, std::uint64_t reader) {
    Want& wanted = wants_[index];
    if (reader == nobody) {
        prefetch_.push_back(index);
        return;
    }
    if (wanted.readers.empty() && !wanted.under_way)
        demanded_.push_back(index);
    wanted.readers.push_back(reader);
}

void ImageReader::read_ahead(std::uint64_t first, std::uint64_t last) {
    const std::size_t touch =
        std::clamp(window_.path_bytes(), min_first_readahead, max_first_readahead) / block_size;
    const std::size_t cap = std::min(2 * window_.limit(), cache_.capacity() / 4);
    const BlockRange range = readahead_.on_read({first, last + 1}, touch, cap);
    for (std::uint64_t index = range.begin; index < std::min(range.end, block_count()); ++index)
        if (!cache_.contains(index) && !wants_.contains(index))
            want(index, nobody);
}

void ImageReader::answer(const Read& read) {
    std::vector<iovec> parts;
    std::size_t left = read.size;
    std::size_t skip = read.offset % block_size;
    for (const BlockRef& block : read.blocks) {
        const std::size_t count = std::min(left, block_size - skip);
        parts.push_back({block->bytes.get() + skip, count});
        left -= count;
        skip = 0;
    }
    answerer_.answer(read.token, parts);
}

void ImageReader::serve_waiting(std::uint64_t index, const BlockRef& block) {
    const auto wanted = wants_.find(index);
    if (wanted == wants_.end())
        return;
    const std::vector<std::uint64_t> readers = std::move(wanted->second.readers);
    wants_.erase(wanted);
    for (const std::uint64_t key : readers) {
        const auto found = reads_.find(key);
        if (found == reads_.end())
            continue; // has been refused
        Read& read = found->second;
        read.blocks[index - read.offset / block_size] = block;
        if (--read.missing > 0)
            continue;
        answer(read);
        reads_.erase(found);
    }
}

void ImageReader::refuse_readers(std::uint64_t index) {
    const auto wanted = wants_.find(index);
    if (wanted == wants_.end())
        return;
    for (const std::uint64_t key : wanted->second.readers) {
        if (const auto read = reads_.find(key); read != reads_.end()) {
            answerer_.fail(read->second.token);
            reads_.erase(read);
        }
    }
    wants_.erase(wanted);
}

std::optional<TimePoint> ImageReader::next_deadline() const {
    if (reads_.empty())
        return std::nullopt;
    return reads_.begin()->second.deadline;
}

void ImageReader::expire(TimePoint now) {
    if (reads_.empty() || reads_.begin()->second.deadline > now)
        return;
    // One read waited in vain; the younger ones wait for the same source.
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
    demanded_.clear();
    prefetch_.clear();
    std::erase_if(wants_, [](const auto& entry) { return !entry.second.under_way; });
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
    if (!known_) {
        facts_ = facts;
        known_ = true;
        state_ = State::open;
        want(0, nobody); // volume descriptor and boot catalogue: they are always wanted
        return;
    }
    if (facts != facts_) {
        image_changed();
        return;
    }
    verify_against_ = cache_.newest(blocks_to_compare - 1);
    if (head_)
        verify_against_.emplace_back(0, head_);
    to_verify_.assign(verify_against_.begin(), verify_against_.end());
    state_ = verify_against_.empty() ? State::open : State::verifying;
}

void ImageReader::lost() {
    flights_.clear();
    unfinished_.clear();
    to_verify_.clear();
    verify_against_.clear();
    prefetch_.clear();
    demanded_.clear();
    readahead_.reset();
    window_ = FlightWindow();
    if (state_ != State::changed)
        state_ = State::closed;
    std::vector<std::uint64_t> waited_for;
    for (auto& [index, wanted] : wants_) {
        wanted.under_way = false;
        if (!wanted.readers.empty())
            waited_for.push_back(index);
    }
    std::erase_if(wants_, [](const auto& entry) { return entry.second.readers.empty(); });
    std::sort(waited_for.begin(), waited_for.end());
    demanded_.assign(waited_for.begin(), waited_for.end());
    if (!head_ && known_)
        want(0, nobody);
}

std::optional<std::uint64_t> ImageReader::next_unsent(std::deque<std::uint64_t>& queue) {
    while (!queue.empty()) {
        const std::uint64_t index = queue.front();
        queue.pop_front();
        const auto wanted = wants_.find(index);
        if (wanted == wants_.end() || wanted->second.under_way)
            continue; // came by another way meanwhile
        wanted->second.under_way = true;
        return index;
    }
    return std::nullopt;
}

std::optional<ImageReader::Flight> ImageReader::next_flight() {
    if (!unfinished_.empty()) {
        Flight flight = std::move(unfinished_.front());
        unfinished_.pop_front();
        return flight;
    }
    if (state_ == State::verifying) {
        if (to_verify_.empty())
            return std::nullopt;
        const std::uint64_t index = to_verify_.front().first;
        to_verify_.pop_front();
        return Flight{index, std::make_shared<Block>(), 0, {}, true};
    }
    if (state_ != State::open)
        return std::nullopt;
    std::optional<std::uint64_t> index = next_unsent(demanded_);
    if (!index)
        index = next_unsent(prefetch_);
    if (!index)
        return std::nullopt;
    return Flight{*index, cache_.make(), 0, {}, false};
}

std::optional<BlockRequest> ImageReader::next_request(TimePoint now) {
    if (flights_.size() >= window_.limit()) {
        window_was_full_ = true;
        return std::nullopt;
    }
    std::optional<Flight> flight = next_flight();
    if (!flight) {
        window_was_full_ = false;
        return std::nullopt;
    }
    flight->mark = window_.sent(now);
    const BlockRequest request{next_request_++, flight->index * block_size + flight->filled,
                               length_of(flight->index) - flight->filled};
    flights_.emplace(request.id, std::move(*flight));
    return request;
}

std::span<char> ImageReader::room(std::uint32_t request, std::uint32_t length) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return {};
    const Flight& flight = found->second;
    const std::uint32_t free = length_of(flight.index) - flight.filled;
    if (length > free)
        return {};
    return {flight.block->bytes.get() + flight.filled, length};
}

void ImageReader::received(std::uint32_t request, std::uint32_t length, TimePoint now) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return;
    Flight flight = std::move(found->second);
    flights_.erase(found);
    if (length == 0) { // the end of the file, before the size it had
        image_changed();
        return;
    }
    stalled_ = false;
    bytes_received_ += length;
    window_.received(flight.mark, length, window_was_full_, now);
    flight.filled += length;
    if (flight.filled < length_of(flight.index))
        unfinished_.push_back(std::move(flight)); // old servers give at most 64 KiB at a time
    else if (flight.verifies)
        compare(flight);
    else
        block_complete(std::move(flight));
}

void ImageReader::block_complete(Flight flight) {
    cache_.put(flight.index, flight.block);
    if (flight.index == 0 && !head_)
        head_ = flight.block;
    serve_waiting(flight.index, flight.block);
}

void ImageReader::failed(std::uint32_t request) {
    const auto found = flights_.find(request);
    if (found == flights_.end())
        return;
    const std::uint64_t index = found->second.index;
    const bool verified = found->second.verifies;
    flights_.erase(found);
    stalled_ = false;
    if (verified) // unreadable is not equal
        image_changed();
    else
        refuse_readers(index);
}

void ImageReader::compare(const Flight& flight) {
    const auto served =
        std::find_if(verify_against_.begin(), verify_against_.end(),
                     [&](const auto& entry) { return entry.first == flight.index; });
    if (state_ != State::verifying || served == verify_against_.end())
        return;
    if (std::memcmp(served->second->bytes.get(), flight.block->bytes.get(),
                    length_of(flight.index)) != 0) {
        image_changed();
        return;
    }
    verify_against_.erase(served);
    if (verify_against_.empty())
        state_ = State::open;
}

void ImageReader::image_changed() {
    state_ = State::changed;
    refuse_pending();
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
