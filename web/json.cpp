#include "web/json.h"

namespace lom::web {

Result<json::object> parse_body(std::string_view text) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 32;
    json::value value = json::parse(text, error, {}, options);
    if (error || !value.is_object())
        return Fault{FaultKind::usage, "The body is not a JSON object."};
    return std::move(value.get_object());
}

Response json_response(int status, const json::value& value) {
    Response response;
    response.status = status;
    response.body = json::serialize(value);
    return std::move(response.with("Content-Type", "application/json; charset=utf-8"));
}

json::value fragment(const std::string& text) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    return error ? json::value() : value;
}

std::string set_text(const json::value& value, bool& fine) {
    switch (value.kind()) {
    case json::kind::string:
        return std::string(value.get_string());
    case json::kind::bool_:
        return value.get_bool() ? "true" : "false";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
        return json::serialize(value);
    case json::kind::null:
        return "";
    case json::kind::array: {
        std::string list;
        for (const json::value& item : value.get_array())
            list += (list.empty() ? "" : ",") + set_text(item, fine);
        return list;
    }
    case json::kind::object:
        break;
    }
    fine = false;
    return "";
}

} // namespace lom::web
