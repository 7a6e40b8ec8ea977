// What DSP0266 asks of a request's headers, before anything is done. Any thread.
#pragma once

#include "web/http.h"

#include <optional>
#include <string_view>

namespace lom::web {

/// Whether an Accept header takes `type` ("application/json"); an empty one takes all.
bool accepts(std::string_view accept, std::string_view type);

/// Whether a list of If-Match or If-None-Match names `etag`, which has its quotes.
bool etag_listed(std::string_view list, std::string_view etag);

/// Why the request is refused by its headers alone: another version of OData (412), a body that is
/// not JSON (415), an Accept that leaves out `type`, which would be answered (406).
std::optional<Response> refused_by_headers(const Request& request, std::string_view type);

} // namespace lom::web
