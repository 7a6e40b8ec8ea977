#include "web/http.h"

#include "base/base64.h"

#include <algorithm>
#include <utility>

namespace lom::web {

namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

} // namespace

std::string percent_decoded(std::string_view text, bool plus_is_space, bool& fine) {
    std::string plain;
    plain.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            plain += ' ';
            continue;
        }
        if (text[i] != '%') {
            plain += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            fine = false;
            return plain;
        }
        plain += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return plain;
}

std::map<std::string, std::string> parse_query(std::string_view text, bool& fine) {
    std::map<std::string, std::string> query;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view item = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (item.empty())
            continue;
        const std::size_t equals = std::min(item.find('='), item.size());
        const std::string name = percent_decoded(item.substr(0, equals), true, fine);
        query[name] =
            equals == item.size() ? "" : percent_decoded(item.substr(equals + 1), true, fine);
    }
    return query;
}

std::string base64_decoded(std::string_view text, bool& fine) {
    auto bytes = from_base64(text);
    fine = fine && bytes;
    return std::move(bytes).value_or("");
}

} // namespace lom::web
