#include "kvms/media/readahead.h"

#include <algorithm>

namespace lom::media {

namespace {
/// The kernel's own read-ahead runs several requests at once, so they come slightly out of order.
constexpr std::uint64_t slack = 8;
} // namespace

void Readahead::reset() { streams_.fill(Stream{}); }

Readahead::Stream* Readahead::find(BlockRange read) {
    for (Stream& stream : streams_) {
        const std::uint64_t behind = stream.next > slack ? stream.next - slack : 0;
        if (stream.size > 0 && read.begin >= behind && read.begin <= stream.ahead)
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

BlockRange Readahead::on_read(BlockRange read, std::size_t first, std::size_t cap) {
    Stream* stream = find(read);
    const bool fresh = stream == nullptr;
    if (fresh) {
        stream = &replace_oldest();
        stream->size = std::min(first, cap);
        stream->ahead = read.end;
    }
    stream->used = ++uses_;
    stream->next = std::max(stream->next, read.end);
    stream->ahead = std::max(stream->ahead, stream->next);
    const bool half_used = stream->ahead - stream->next <= stream->size / 2;
    if (!half_used)
        return {};
    if (!fresh)
        stream->size = std::min(std::max<std::size_t>(stream->size, 1) * 2, cap);
    const BlockRange range{stream->ahead, stream->next + stream->size};
    stream->ahead = std::max(range.begin, range.end);
    return range;
}

} // namespace lom::media
