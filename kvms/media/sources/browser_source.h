// An image on the computer of somebody who has our page open: the page connects (by way of
// lom-web, lomd has checked who it is) and is asked for ranges of the file. Nobody is connected to:
// an attempt waits for the page, and ends with its connection. Loop thread only.
//
// Both ways a stream of frames, numbers big-endian:
//   page:  'H' size:8 modified:8          first: the file, modified in ms since 1970
//          'D' request:4 length:4 bytes   an answer
//          'E' request:4                  the file cannot be read any more
//   ours:  'R' request:4 offset:8 length:4
//          'X' why:1                      go: 'r' another page has taken over, 'f' another file,
//                                         's' too short, 'p' it does not speak like this
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "kvms/media/engine/source.h"

#include <memory>
#include <optional>

namespace lom::media {

/// What all attempts share.
struct BrowserSettings {
    UniqueFd listener;               ///< of a unix socket that only lomd's user can connect to
    std::optional<ImageFacts> facts; ///< of the file that was opened first: no other is taken
    std::uint64_t least_size = 2048;
};

/// `settings` and `listener` must outlive the Source.
std::unique_ptr<Source> open_browser(Loop& loop, BrowserSettings& settings,
                                     SourceListener& listener);

} // namespace lom::media
