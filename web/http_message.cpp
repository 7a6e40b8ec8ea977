#include "web/http_message.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace lom::web {

std::string address_text(const tcp::endpoint& peer) {
    const auto address = peer.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    return address.to_string();
}

bool translate(const http::request_header<>& header, const std::string& source, Request& request) {
    bool fine = true;
    request.method = std::string(header.method_string());
    request.source = source;
    const std::string_view target(header.target().data(), header.target().size());
    if (target.empty() || target[0] != '/')
        return false;
    const std::size_t mark = std::min(target.find('?'), target.size());
    request.path = percent_decoded(target.substr(0, mark), false, fine);
    if (mark < target.size()) {
        request.raw_query = std::string(target.substr(mark + 1));
        request.query = parse_query(request.raw_query, fine);
    }
    for (const auto& field : header) {
        std::string name(field.name_string());
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        const std::string value(field.value());
        auto [at, fresh] = request.headers.emplace(name, value);
        if (!fresh)
            at->second += (name == "cookie" ? "; " : ", ") + value;
    }
    request.wants_websocket = header.count(http::field::upgrade) != 0 &&
                              beast::websocket::is_upgrade(
                                  http::request<http::empty_body>(http::request_header<>(header)));
    return fine && (header.version() < 11 || header.count(http::field::host) == 1);
}

void add_security_headers(http::fields& fields) {
    fields.set("Strict-Transport-Security", "max-age=31536000");
    fields.set("Content-Security-Policy",
               "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
               "blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "
               "media-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
               "frame-ancestors 'none'");
    fields.set("X-Content-Type-Options", "nosniff");
    fields.set("X-Frame-Options", "DENY");
    fields.set("Referrer-Policy", "no-referrer");
    fields.set("Cross-Origin-Opener-Policy", "same-origin");
    fields.set("Cross-Origin-Resource-Policy", "same-origin");
    fields.set("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
    fields.set(http::field::server, "OpenLOM");
}

namespace {

/// As RFC 9110 wants it; made once a second.
const std::string& http_date() {
    static std::time_t of = -1;
    static std::string text;
    const std::time_t now = std::time(nullptr);
    if (now != of) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        std::array<char, 40> formatted{};
        std::strftime(formatted.data(), formatted.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        text = formatted.data();
        of = now;
    }
    return text;
}

} // namespace

void fill_header(http::fields& fields, const Response& response) {
    add_security_headers(fields);
    fields.set(http::field::date, http_date());
    for (const auto& [name, value] : response.headers)
        fields.insert(name, value);
}

Response plain_response(int status, const std::string& sentence) {
    Response response;
    response.status = status;
    response.body = sentence + "\n";
    response.with("Content-Type", "text/plain; charset=utf-8");
    return response;
}

} // namespace lom::web
