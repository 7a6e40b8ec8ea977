#include "kvms/media/engine/readahead.h"

#include <algorithm>

namespace lom::media {

namespace {
/// The kernel's own read-ahead runs several requests at once, so they come slightly out of order;
/// but of what was hardly read, a read before it is another place.
constexpr std::uint64_t slack = 8;
/// What is ahead of a stream is this part of what was read of it, until the line is full and beyond
/// that. Replayed boots say so: more fetches much in vain, less waits more often.
constexpr std::uint64_t share = 4;
constexpr std::uint64_t share_beyond = 8;
/// Far ahead of a stream so many blocks are asked for at once: to send one costs as much.
constexpr std::uint64_t batch = 8;
constexpr double memory = 1.0 / 8; ///< weight of one new place
constexpr std::size_t before_share = 4;
} // namespace

void Readahead::reset() { streams_.fill(Stream{}); }

Readahead::Stream* Readahead::find(BlockRange read) {
    for (Stream& stream : streams_) {
        const std::uint64_t back = std::min(slack, stream.read);
        const std::uint64_t behind =
            std::min(stream.begin, stream.next > back ? stream.next - back : 0);
        if (stream.used > 0 && read.begin >= behind && read.begin <= stream.ahead)
            return &stream;
    }
    return nullptr;
}

Readahead::Stream& Readahead::replace_oldest() {
    Stream& oldest = *std::min_element(streams_.begin(), streams_.end(),
                                       [](auto& a, auto& b) { return a.used < b.used; });
    oldest = Stream{};
    return oldest;
}

Readahead::Guess Readahead::start(BlockRange read, const Limits& limits) {
    luck_ -= luck_ * memory;
    const auto first = std::min(
        static_cast<std::size_t>(static_cast<double>(limits.first) * luck_ + 0.5), limits.cap);
    const std::size_t before = (first + before_share - 1) / before_share;
    Stream& stream = replace_oldest();
    stream.size = first;
    stream.begin = read.begin > before ? read.begin - before : 0;
    stream.next = read.end;
    stream.ahead = read.end + first;
    stream.read = read.end - read.begin;
    stream.used = ++uses_;
    return {{read.end, stream.ahead}, {stream.begin, read.begin}, first > 0};
}

Readahead::Guess Readahead::on_read(BlockRange read, const Limits& limits) {
    Stream* const stream = find(read);
    if (stream == nullptr)
        return start(read, limits);
    if (!stream->proved)
        luck_ += memory;
    stream->proved = true;
    stream->used = ++uses_;
    if (read.end > stream->next) {
        stream->read += read.end - std::max(stream->next, read.begin);
        stream->next = read.end;
    }
    const std::uint64_t earned =
        limits.explore ? 2 * stream->read
                       : std::max(std::min<std::uint64_t>(stream->read / share, limits.line),
                                  stream->read / share_beyond) +
                             1;
    stream->size =
        std::min<std::uint64_t>(std::max<std::uint64_t>(stream->size, earned), limits.cap);
    const BlockRange range{std::max(stream->ahead, stream->next), stream->next + stream->size};
    const std::uint64_t left = range.begin - stream->next;
    if (left > stream->size - std::min<std::uint64_t>(stream->size / 4, batch))
        return {{}, {}, true};
    stream->ahead = std::max({range.begin, range.end});
    return {range, {}, true};
}

} // namespace lom::media
