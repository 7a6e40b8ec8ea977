#include "web/http.h"

#include <algorithm>

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

int base64_value(char c) {
    constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t at = letters.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
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
    std::string bytes;
    unsigned buffer = 0;
    int bits = 0;
    while (!text.empty() && text.back() == '=')
        text.remove_suffix(1);
    for (const char c : text) {
        const int value = base64_value(c);
        if (value < 0) {
            fine = false;
            return bytes;
        }
        buffer = buffer << 6U | static_cast<unsigned>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes += static_cast<char>(buffer >> static_cast<unsigned>(bits) & 0xffU);
        }
    }
    return bytes;
}

} // namespace lom::web
