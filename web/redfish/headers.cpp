#include "web/redfish/headers.h"

#include "web/redfish/messages.h"

#include <algorithm>
#include <cctype>

namespace lom::web {

namespace {

constexpr std::string_view blank = " \t";

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(blank), text.size());
    text.remove_prefix(begin);
    return text.substr(0, text.find_last_not_of(blank) + 1);
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

/// Cuts what stands before `at` off the front of `rest`.
std::string_view next_part(std::string_view& rest, char at) {
    const std::size_t end = std::min(rest.find(at), rest.size());
    const std::string_view part = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

/// "q=0", "q=0.000": explicitly not wanted.
bool is_refusal(std::string_view parameter) {
    return parameter.size() > 2 && same(parameter.substr(0, 2), "q=") &&
           parameter.find_first_not_of("0.", 2) == std::string_view::npos;
}

bool covers(std::string_view range, std::string_view type) {
    if (range == "*/*")
        return true;
    if (range.ends_with("/*"))
        return same(range.substr(0, range.size() - 1), type.substr(0, type.find('/') + 1));
    return same(range, type);
}

Response refusal(int status, const char* header, const char* resolution) {
    const Message message{"HeaderInvalid", {header}, "", resolution};
    return error_response(status, message);
}

} // namespace

bool accepts(std::string_view accept, std::string_view type) {
    if (trimmed(accept).empty())
        return true;
    while (!accept.empty()) {
        std::string_view entry = next_part(accept, ',');
        const std::string_view range = next_part(entry, ';');
        bool refused = false;
        while (!entry.empty())
            refused = is_refusal(next_part(entry, ';')) || refused;
        if (!refused && covers(range, type))
            return true;
    }
    return false;
}

bool etag_listed(std::string_view list, std::string_view etag) {
    while (!list.empty()) {
        std::string_view one = next_part(list, ',');
        if (one.starts_with("W/")) // a cache may have weakened it
            one.remove_prefix(2);
        if (one == "*" || one == etag)
            return true;
    }
    return false;
}

std::optional<Response> refused_by_headers(const Request& request, std::string_view type) {
    if (const std::string version = request.header("odata-version");
        !version.empty() && version != "4.0")
        return refusal(412, "OData-Version", "This service speaks OData-Version 4.0.");
    const bool reads = request.method == "GET" || request.method == "HEAD"; // their body is ignored
    const std::string content = request.header("content-type");
    std::string_view media = content;
    if (!reads && !request.body.empty() && !content.empty() &&
        !same(next_part(media, ';'), "application/json"))
        return refusal(415, "Content-Type", "Send JSON, as application/json.");
    if (!accepts(request.header("accept"), type))
        return refusal(406, "Accept",
                       "This is answered with application/json only, or what stands "
                       "in the documentation of the URI.");
    return std::nullopt;
}

} // namespace lom::web
