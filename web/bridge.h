// Shovels between a websocket and a descriptor of lomd's: a serial console's messages, or plain
// bytes. Internal to the server's .cpp files: it has Beast's types in its signature.
#pragma once

#include "web/http.h"
#include "web/tls_stream.h"

#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket.hpp>

namespace lom::web {

/// Without compression: what flows here is short, or a picture that is compressed already.
using WebSocket = boost::beast::websocket::stream<TlsStream, false>;

boost::asio::awaitable<void>
bridge(WebSocket socket, boost::beast::http::request<boost::beast::http::string_body> request,
       Upgrade upgrade);

} // namespace lom::web
