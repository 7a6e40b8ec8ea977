#include "web/tls_stream.h"

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <openssl/err.h>

#include <array>
#include <cerrno>

namespace asio = boost::asio;

namespace lom::web {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto look_every = 1s;
constexpr std::size_t longest_record = 16U << 10U;

SSL_CTX* make_context(const std::string& pem) {
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 |
                        asio::ssl::context::no_compression | SSL_OP_NO_RENEGOTIATION |
                        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX* raw = context.native_handle();
    SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!SHA1:!SHA256:!SHA384");
    // Hundreds wait here for hours: no buffer while nothing comes, no memory of former sessions
    // (who comes back brings a ticket).
    SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(raw, 1);
    SSL_CTX_set_read_ahead(raw, 1); // a record's head and body in one call
    const asio::const_buffer text(pem.data(), pem.size());
    context.use_certificate_chain(text);
    context.use_private_key(text, asio::ssl::context::pem);
    SSL_CTX_up_ref(raw);
    return raw;
}

boost::system::error_code last_error() {
    const unsigned long code = ERR_get_error();
    if (code == 0)
        return asio::ssl::error::stream_truncated;
    return {static_cast<int>(code), asio::error::get_ssl_category()};
}

} // namespace

TlsContext::TlsContext(Loop& loop, const std::string& pem)
    : loop_(loop), context_(make_context(pem)) {}

void TlsContext::look() {
    const auto now = Clock::now();
    for (TlsConnection* connection : connections_)
        if (connection->deadline < now) {
            boost::system::error_code ignored;
            connection->socket.cancel(ignored);
        }
}

TlsConnection::TlsConnection(TlsContext& context, Socket socket_in)
    : socket(std::move(socket_in)), context_(context), ssl_(SSL_new(context.context_.get())) {
    boost::system::error_code ignored;
    socket.native_non_blocking(true, ignored);
    if (ssl_) {
        SSL_set_fd(ssl_.get(), socket.native_handle());
        SSL_set_accept_state(ssl_.get());
    }
    if (context_.connections_.empty())
        context_.clock_ = context_.loop_.every(look_every, [&context] { context.look(); });
    place_ = context_.connections_.insert(context_.connections_.end(), this);
}

TlsConnection::~TlsConnection() {
    context_.connections_.erase(place_);
    if (context_.connections_.empty())
        context_.clock_.reset();
}

template <typename Call>
TlsAttempt TlsConnection::attempt(const Call& call) {
    using Outcome = TlsAttempt::Outcome;
    // OpenSSL knows a number only, and after a close() that may be somebody else's.
    if (!socket.is_open() || !ssl_)
        return {Outcome::failed, 0, asio::error::bad_descriptor};
    ERR_clear_error();
    errno = 0;
    std::size_t count = 0;
    const int answer = call(ssl_.get(), count);
    if (answer > 0)
        return {Outcome::done, count, {}};
    switch (SSL_get_error(ssl_.get(), answer)) {
    case SSL_ERROR_WANT_READ:
        return {Outcome::wait_read, 0, {}};
    case SSL_ERROR_WANT_WRITE:
        return {Outcome::wait_write, 0, {}};
    case SSL_ERROR_ZERO_RETURN:
        return {Outcome::failed, 0, asio::error::eof};
    case SSL_ERROR_SYSCALL:
        if (errno != 0)
            return {Outcome::failed, 0, {errno, boost::system::system_category()}};
        [[fallthrough]];
    default:
        return {Outcome::failed, 0, last_error()};
    }
}

TlsAttempt TlsConnection::handshake() {
    return attempt([](SSL* ssl, std::size_t&) { return SSL_do_handshake(ssl); });
}

TlsAttempt TlsConnection::read(asio::mutable_buffer into) {
    return attempt([into](SSL* ssl, std::size_t& count) {
        return SSL_read_ex(ssl, into.data(), into.size(), &count);
    });
}

TlsAttempt TlsConnection::write(asio::const_buffer from) {
    if (from.size() == 0)
        return {};
    return attempt([from](SSL* ssl, std::size_t& count) {
        return SSL_write_ex(ssl, from.data(), from.size(), &count);
    });
}

TlsAttempt TlsConnection::shutdown() {
    return attempt([](SSL* ssl, std::size_t&) {
        const int said = SSL_shutdown(ssl);
        return said == 0 ? SSL_shutdown(ssl) : said;
    });
}

void TlsStream::cancel() {
    boost::system::error_code ignored;
    connection_->socket.cancel(ignored);
}

asio::mutable_buffer TlsStream::gathering_place() {
    static std::array<char, longest_record> place; // one thread, and emptied at once
    return asio::buffer(place);
}

} // namespace lom::web
