// An image read by programs of their own (kvms/readers) over socketpairs: the libraries for NFS
// and SMB block or bring much code that strangers' bytes reach, and a process can be ended at any
// moment. Loop thread only; never blocks.
#pragma once

#include "base/loop.h"
#include "kvms/media/engine/source.h"
#include "kvms/media/sources/credentials.h"
#include "kvms/media/sources/image_policy.h"
#include "kvms/media/sources/uri.h"
#include "kvms/media/steward.h"

#include <memory>
#include <string>

namespace lom::media {

struct ReaderSettings {
    const ImageUri& uri;
    const Credentials& credentials;
    const ImagePolicy& policy;
    Steward& steward;          ///< starts the readers
    std::size_t processes = 1; ///< more where the library reads one range at a time
    std::uint64_t least_size = 2048;
};

/// Starts connecting. `settings` and `listener` must outlive the Source.
std::unique_ptr<Source> open_reader(Loop& loop, const ReaderSettings& settings,
                                    SourceListener& listener);

} // namespace lom::media
