// One SSH connection with the image open over SFTP. libssh carries SSH; the SFTP packets are our
// own (sftp_wire.h), because many requests must be under way at once and land in our blocks.
// Loop thread only; never blocks: names are resolved in the loop's pool, libssh runs non-blocking.
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

/// What all attempts share. Once an image has been opened, its server's fingerprint is pinned for
/// as long as we run.
struct SftpSettings {
    ImageUri uri;
    Credentials credentials;
    ImagePolicy policy;
    Steward& steward;        ///< knows the host keys
    std::string known_hosts; ///< path, for messages; empty: an unknown host key is accepted
    std::string pinned_fingerprint;
    std::uint64_t least_size = 2048; ///< one CD sector: less is no image
};

/// Starts connecting. `settings` and `listener` must outlive the Source.
std::unique_ptr<Source> open_sftp(Loop& loop, SftpSettings& settings, SourceListener& listener);

/// The same connection with the file created (or emptied) for writing.
std::unique_ptr<Sink> open_sftp_sink(Loop& loop, SftpSettings& settings, SourceListener& listener);

} // namespace lom::media
