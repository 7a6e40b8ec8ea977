// An image behind HTTP or HTTPS, read by ranges over a few connections (libcurl). A redirect may
// lead to the same scheme, or from http to https, never back; proxies of the environment are not
// used; a password goes over http only as a digest. Loop thread only; never blocks.
#pragma once

#include "base/loop.h"
#include "kvms/media/engine/source.h"
#include "kvms/media/sources/credentials.h"
#include "kvms/media/sources/image_policy.h"
#include "kvms/media/sources/uri.h"

#include <memory>
#include <string>

namespace lom::media {

struct HttpSettings {
    const ImageUri& uri;
    const Credentials& credentials;
    const ImagePolicy& policy;
    std::string authorities; ///< PEM text; empty: those of the machine
    std::string pinned_key;  ///< "sha256//BASE64": the server's key must be this; then no authority
    std::uint64_t least_size = 2048;
};

/// Starts connecting. `settings` and `listener` must outlive the Source.
std::unique_ptr<Source> open_http(Loop& loop, const HttpSettings& settings,
                                  SourceListener& listener);

} // namespace lom::media
