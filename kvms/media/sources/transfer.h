// One file fetched to stdout or stored from stdin, for `load -source` and `dump -destination`. One
// attempt, no cache, no reconnecting: whoever asked sees the reason and asks again. Loop thread
// only; memory is bounded by what is under way, however slow the other end of the pipe is.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "kvms/media/engine/source.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace lom::media {

using OpenSource = std::function<std::unique_ptr<Source>(SourceListener&)>;
using OpenSink = std::function<std::unique_ptr<Sink>(SourceListener&)>;

/// Copies the whole source to `to`. A source larger than `most` is refused before its first byte.
/// `opened` is told its size.
Result<void> fetch_file(Loop& loop, const OpenSource& open, int to, std::uint64_t most,
                        std::function<void(std::uint64_t size)> opened = nullptr);

/// Copies `from` to its end into the sink. More than `most` bytes is a fault; what has come until
/// then stays on the server.
Result<void> store_file(Loop& loop, const OpenSink& open, int from, std::uint64_t most);

} // namespace lom::media
