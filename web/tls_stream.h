// TLS straight on its socket: OpenSSL reads and writes the descriptor itself, so a connection that
// waits holds no buffer at all (Asio's own TLS stream keeps about 70 KiB of them). An AsyncStream
// for Beast. Internal: only .cpp files of this room take it. Loop thread only; reads and writes may
// overlap, two of a kind may not.
#pragma once

#include "base/loop.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>

namespace lom::web {

class TlsConnection;

/// The certificate, and the clock of all its connections: one look a second at who has had his
/// time, instead of a timer each.
class TlsContext {
  public:
    /// `pem` is chain and key in one text; throws boost::system::system_error.
    TlsContext(Loop& loop, const std::string& pem);
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

  private:
    friend class TlsConnection;
    void look();

    struct Free {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    Loop& loop_;
    std::unique_ptr<SSL_CTX, Free> context_;
    std::list<TlsConnection*> connections_;
    Loop::Handle clock_; ///< while there are connections
};

/// What one attempt came to: `count` bytes, or what to wait for, or why not.
struct TlsAttempt {
    enum class Outcome { done, wait_read, wait_write, failed };
    Outcome outcome = Outcome::done;
    std::size_t count = 0;
    boost::system::error_code error = {};
};

class TlsConnection {
  public:
    using Socket = boost::asio::ip::tcp::socket;

    TlsConnection(TlsContext& context, Socket socket_in);
    ~TlsConnection();
    TlsConnection(const TlsConnection&) = delete;
    TlsConnection& operator=(const TlsConnection&) = delete;

    TlsAttempt handshake();
    TlsAttempt read(boost::asio::mutable_buffer into);
    TlsAttempt write(boost::asio::const_buffer from);
    /// Says goodbye and waits for the other's.
    TlsAttempt shutdown();

    Socket socket;
    std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();

  private:
    template <typename Call>
    TlsAttempt attempt(const Call& call);

    struct Free {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    TlsContext& context_;
    std::unique_ptr<SSL, Free> ssl_;
    std::list<TlsConnection*>::iterator place_;
};

/// Repeats an attempt until it is done, waiting for the socket between.
template <typename Attempt, bool counts>
struct TlsOperation {
    TlsConnection* connection;
    Attempt attempt;
    TlsAttempt result{TlsAttempt::Outcome::wait_read, 0, {}};
    bool begun = false;

    template <typename Self>
    void operator()(Self& self, boost::system::error_code error = {}) {
        using Outcome = TlsAttempt::Outcome;
        if (error)
            result = {Outcome::failed, 0, error};
        if (result.outcome == Outcome::done || result.outcome == Outcome::failed)
            return finish(self);
        result = attempt(*connection);
        const bool first = !std::exchange(begun, true);
        auto& socket = connection->socket;
        if (result.outcome == Outcome::wait_read)
            socket.async_wait(TlsConnection::Socket::wait_read, std::move(self));
        else if (result.outcome == Outcome::wait_write)
            socket.async_wait(TlsConnection::Socket::wait_write, std::move(self));
        else if (first) // never from inside the initiation
            boost::asio::post(socket.get_executor(), std::move(self));
        else
            finish(self);
    }

    template <typename Self>
    void finish(Self& self) const {
        if constexpr (counts)
            self.complete(result.error, result.count);
        else
            self.complete(result.error);
    }
};

class TlsStream {
  public:
    using next_layer_type = TlsConnection::Socket;
    using executor_type = next_layer_type::executor_type;

    TlsStream(TlsContext& context, next_layer_type socket)
        : connection_(std::make_unique<TlsConnection>(context, std::move(socket))) {}

    executor_type get_executor() noexcept { return connection_->socket.get_executor(); }
    next_layer_type& next_layer() noexcept { return connection_->socket; }
    const next_layer_type& next_layer() const noexcept { return connection_->socket; }

    /// What is under way then ends, with operation_aborted; to the second.
    void expires_after(std::chrono::steady_clock::duration time) {
        connection_->deadline = std::chrono::steady_clock::now() + time;
    }
    void expires_never() { connection_->deadline = std::chrono::steady_clock::time_point::max(); }
    /// What is under way ends with operation_aborted.
    void cancel();

    template <typename Token>
    auto async_handshake(Token&& token) {
        return start_plain([](TlsConnection& tls) { return tls.handshake(); }, token);
    }
    template <typename Token>
    auto async_shutdown(Token&& token) {
        return start_plain([](TlsConnection& tls) { return tls.shutdown(); }, token);
    }
    template <typename Buffers, typename Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return start(
            [buffers](TlsConnection& tls) {
                for (auto at = boost::asio::buffer_sequence_begin(buffers);
                     at != boost::asio::buffer_sequence_end(buffers); ++at)
                    if (const boost::asio::mutable_buffer part = *at; part.size() > 0)
                        return tls.read(part);
                return TlsAttempt();
            },
            token);
    }
    template <typename Buffers, typename Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return start([buffers](TlsConnection& tls) { return tls.write(gathered(buffers)); }, token);
    }

  private:
    template <typename Attempt, typename Token>
    auto start(Attempt attempt, Token& token) {
        return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
            TlsOperation<Attempt, true>{connection_.get(), std::move(attempt)}, token,
            connection_->socket);
    }
    template <typename Attempt, typename Token>
    auto start_plain(Attempt attempt, Token& token) {
        return boost::asio::async_compose<Token, void(boost::system::error_code)>(
            TlsOperation<Attempt, false>{connection_.get(), std::move(attempt)}, token,
            connection_->socket);
    }

    /// One record's worth in one piece. The same bytes come again when OpenSSL wants them again.
    static boost::asio::mutable_buffer gathering_place();
    template <typename Buffers>
    static boost::asio::const_buffer gathered(const Buffers& buffers) {
        const auto begin = boost::asio::buffer_sequence_begin(buffers);
        const auto end = boost::asio::buffer_sequence_end(buffers);
        if (begin != end && std::next(begin) == end)
            return *begin;
        const auto place = gathering_place();
        return {place.data(), boost::asio::buffer_copy(place, buffers)};
    }

    std::unique_ptr<TlsConnection> connection_;
};

/// How Beast ends a websocket's connection.
template <typename Handler>
void async_teardown(boost::beast::role_type, TlsStream& stream, Handler&& handler) {
    stream.async_shutdown(std::forward<Handler>(handler));
}

} // namespace lom::web
