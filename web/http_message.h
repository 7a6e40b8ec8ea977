// HTTP's messages as Beast has them, and as the rest of lom-web sees them. Internal: only .cpp
// files of this room take it. Any thread.
#pragma once

#include "web/http.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>

#include <string>

namespace lom::web {

/// IPv4 as such, also where it came to a socket of both.
std::string address_text(const boost::asio::ip::tcp::endpoint& peer);
/// False: not to be understood, or without the Host that HTTP/1.1 wants.
bool translate(const boost::beast::http::request_header<>& header, const std::string& source,
               Request& request);
void add_security_headers(boost::beast::http::fields& fields);
/// Security headers and the response's own.
void fill_header(boost::beast::http::fields& fields, const Response& response);
/// A sentence to whoever did not speak HTTP well enough for more.
Response plain_response(int status, const std::string& sentence);

} // namespace lom::web
