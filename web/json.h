// JSON answers and the reading of hostile JSON. Internal: only .cpp files of this room take it.
#pragma once

#include "base/json_fields.h"
#include "base/result.h"
#include "web/http.h"

#include <string>
#include <string_view>

namespace lom::web {

namespace json = boost::json;

/// At most 32 levels deep.
Result<json::object> parse_body(std::string_view text);
Response json_response(int status, const json::value& value);
/// A property's JSON fragment as lomd sent it.
json::value fragment(const std::string& text);
/// A JSON value as the text that `set` takes; nullopt-like: `fine` becomes false for an object.
std::string set_text(const json::value& value, bool& fine);

} // namespace lom::web
