// An image in a folder of the service processor's own machine. Loop thread only; the disk is read
// in the loop's pool.
#pragma once

#include "base/loop.h"
#include "kvms/media/engine/source.h"
#include "kvms/media/sources/uri.h"
#include "kvms/media/steward.h"

#include <memory>
#include <string>

namespace lom::media {

struct FileSettings {
    const ImageUri& uri;
    Steward& steward; ///< opens it
    std::string
        allowed_folder; ///< nothing outside is opened, symbolic links or not; empty: nothing
    std::uint64_t least_size = 2048;
};

/// `settings` and `listener` must outlive the Source.
std::unique_ptr<Source> open_file(Loop& loop, const FileSettings& settings,
                                  SourceListener& listener);

} // namespace lom::media
