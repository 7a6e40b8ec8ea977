#include "web/server.h"

#include "web/bridge.h"
#include "web/http_message.h"
#include "web/tls_stream.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include <algorithm>
#include <array>
#include <list>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace lom::web {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_connections = 1500;
// Connections that have not sent a whole request yet. When a newcomer finds them all taken, the one
// that has been at it for longest makes room: whoever sends slowly keeps nobody out.
constexpr std::size_t most_beginners = 200;
constexpr auto handshake_limit = 10s;
constexpr auto header_limit = 10s;
constexpr auto body_limit = 60s;
constexpr auto idle_limit = 60s;
constexpr auto write_limit = 60s;
constexpr auto heartbeat = 15s;
constexpr auto drain_limit = 2s;
constexpr auto swallow_limit = 1s;
constexpr std::size_t most_swallowed = 1U << 20U;
constexpr std::uint32_t longest_header = 16U << 10U;
constexpr std::uint64_t longest_redirected = 4096; // a request in plain HTTP on this port

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);

using Message = http::request<http::string_body>;

} // namespace

struct Server::Impl {
    Impl(Loop& loop_in, const std::string& pem, Handler handler_in)
        : loop(loop_in), context(loop_in.context()), tls(loop_in, pem),
          handler(std::move(handler_in)), acceptor(context) {}

    struct Visit {
        TlsStream* stream = nullptr;
        bool new_here = true; ///< has asked nothing before
    };
    using Beginners = std::list<Visit>;

    /// Counts a connection; while it has no whole request it stands in the beginners' line.
    struct Place {
        Place(Impl& owner_in, TlsStream& stream) : owner(owner_in) {
            ++owner.connections;
            begin(stream, true);
        }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() {
            done();
            if (--owner.connections < most_connections)
                owner.accept_again.cancel();
            if (owner.connections == 0 && owner.drained)
                owner.loop.post(owner.drained);
        }
        void begin(TlsStream& stream, bool new_here) {
            if (standing)
                return;
            owner.beginners.push_back({&stream, new_here});
            at = std::prev(owner.beginners.end());
            standing = true;
        }
        void done() {
            if (std::exchange(standing, false))
                owner.beginners.erase(at);
        }
        Impl& owner;
        Beginners::iterator at;
        bool standing = false;
    };

    asio::awaitable<void> accept() {
        while (!drained) {
            if (connections >= most_connections) {
                accept_again.expires_after(1s);
                co_await accept_again.async_wait(awaited);
                continue;
            }
            auto [error, socket] = co_await acceptor.async_accept(awaited);
            if (error == asio::error::operation_aborted)
                co_return;
            if (error) { // out of descriptors, most likely: the backlog holds them meanwhile
                accept_again.expires_after(100ms);
                co_await accept_again.async_wait(awaited);
                continue;
            }
            if (beginners.size() >= most_beginners)
                beginners.front().stream->cancel();
            asio::co_spawn(context, visit(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> visit(tcp::socket socket) {
        boost::system::error_code ignored;
        socket.set_option(tcp::no_delay(true), ignored);
        const std::string source = address_text(socket.remote_endpoint(ignored));
        TlsStream stream(tls, std::move(socket));
        Place place(*this, stream);
        stream.expires_after(handshake_limit);
        auto& lowest = stream.next_layer();
        if (const auto [error] = co_await lowest.async_wait(tcp::socket::wait_read, awaited); error)
            co_return;
        if (!begins_tls(lowest))
            co_return co_await redirect(lowest);
        if (const auto [error] = co_await stream.async_handshake(awaited); error)
            co_return;
        beast::flat_buffer buffer;
        bool more = true;
        while (more)
            more = co_await serve_one(stream, buffer, source, place);
    }

    /// By its first byte, which no word of HTTP begins with.
    static bool begins_tls(tcp::socket& socket) {
        constexpr char handshake = 0x16;
        char first = 0;
        return recv(socket.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
               first == handshake;
    }

    /// Plain HTTP on this port: the same place in HTTPS.
    asio::awaitable<void> redirect(tcp::socket& stream) {
        beast::flat_buffer buffer;
        http::request_parser<http::empty_body> parser;
        parser.header_limit(longest_redirected);
        const auto [error, size] =
            co_await http::async_read_header(stream, buffer, parser, awaited);
        const auto& request = parser.get();
        const std::string host(request[http::field::host]);
        http::response<http::empty_body> answer(http::status::permanent_redirect, 11);
        if (error || host.empty() || host.find_first_of("/\\@?# ") != std::string::npos ||
            request.target().empty() || request.target()[0] != '/')
            answer.result(http::status::bad_request);
        else
            answer.set(http::field::location, "https://" + host + std::string(request.target()));
        answer.keep_alive(false);
        answer.content_length(0);
        co_await http::async_write(stream, answer, awaited);
        boost::system::error_code ignored;
        stream.shutdown(tcp::socket::shutdown_both, ignored);
    }

    /// One request and its answer; false: the connection ends.
    asio::awaitable<bool> serve_one(TlsStream& stream, beast::flat_buffer& buffer,
                                    const std::string& source, Place& place) {
        http::request_parser<http::string_body> parser;
        parser.header_limit(longest_header);
        stream.expires_after(place.standing ? header_limit : idle_limit);
        place.begin(stream, false);
        const auto [header_error, header_size] =
            co_await http::async_read_header(stream, buffer, parser, awaited);
        if (header_error)
            co_return co_await refuse(stream, header_error);
        Request request;
        if (!translate(parser.get(), source, request))
            co_return co_await refuse(stream, http::error::bad_target);
        parser.body_limit(handler.body_limit(request));
        if (parser.content_length() && *parser.content_length() > handler.body_limit(request))
            co_return co_await refuse(stream, http::error::body_limit);
        stream.expires_after(body_limit);
        if (request.header("expect") == "100-continue") {
            http::response<http::empty_body> go_on(http::status::continue_, 11);
            co_await http::async_write(stream, go_on, awaited);
        }
        // Into the parser, not its message: only the parser applies the limit.
        const auto [body_error, body_size] =
            co_await http::async_read(stream, buffer, parser, awaited);
        if (body_error)
            co_return co_await refuse(stream, body_error);
        place.done();
        stream.expires_never();
        request.body = std::move(parser.get().body());
        bool keep_alive = parser.get().keep_alive();
        const bool head = request.method == "HEAD";
        Response response = co_await answer_to(std::move(request));
        keep_alive = keep_alive && !drained;
        if (response.upgrade.kind != Upgrade::Kind::none) {
            co_await run_websocket(std::move(stream), parser.release(),
                                   std::move(response.upgrade));
            co_return false;
        }
        if (response.flow) {
            co_await write_flow(stream, std::move(response));
            co_return false;
        }
        co_return co_await write(stream, std::move(response), keep_alive, head);
    }

    asio::awaitable<Response> answer_to(Request request) {
        co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(Response)>(
            [this](auto completion, Request asked) {
                auto shared = std::make_shared<decltype(completion)>(std::move(completion));
                handler.request(std::move(asked), [this, shared](Response response) {
                    // Never from inside the initiation: the coroutine must stand still first.
                    auto kept = std::make_shared<Response>(std::move(response));
                    asio::post(context, [shared, kept] { (*shared)(std::move(*kept)); });
                });
            },
            asio::use_awaitable, std::move(request));
    }

    /// Takes what the client still sends, a while and not more than a little: closing under it
    /// would take the answer from it.
    static asio::awaitable<void> swallow(TlsStream& stream) {
        std::array<char, 4096> bytes{};
        stream.expires_after(swallow_limit);
        for (std::size_t taken = 0; taken < most_swallowed;) {
            const auto [error, count] =
                co_await stream.async_read_some(asio::buffer(bytes), awaited);
            if (error)
                co_return;
            taken += count;
        }
    }

    static asio::awaitable<bool> refuse(TlsStream& stream, beast::error_code error) {
        const bool too_long =
            error == http::error::header_limit || error == http::error::body_limit;
        if (too_long) {
            const bool header = error == http::error::header_limit;
            co_await write(
                stream,
                plain_response(header ? 431 : 413, header ? "The request's header is too long."
                                                          : "The request's body is too long."),
                true, false);
            co_await swallow(stream);
            co_return false;
        }
        if (error == asio::error::operation_aborted || error == http::error::end_of_stream ||
            error.category() != make_error_code(http::error::bad_method).category())
            co_return false;
        co_return co_await write(stream, plain_response(400, "This is not HTTP/1.1."), false,
                                 false);
    }

    static asio::awaitable<bool> write(TlsStream& stream, Response response, bool keep_alive,
                                       bool head) {
        const std::string_view body = response.shared_body ? *response.shared_body : response.body;
        http::response<http::span_body<const char>> message;
        message.version(11);
        message.result(static_cast<unsigned>(response.status));
        fill_header(message, response);
        message.keep_alive(keep_alive);
        if (!head)
            message.body() = {body.data(), body.size()};
        if (response.status != 204 && response.status != 304)
            message.content_length(body.size());
        stream.expires_after(write_limit);
        http::response_serializer<http::span_body<const char>> serializer(message);
        beast::error_code error;
        if (head)
            std::tie(error, std::ignore) =
                co_await http::async_write_header(stream, serializer, awaited);
        else
            std::tie(error, std::ignore) = co_await http::async_write(stream, serializer, awaited);
        if (error)
            co_return false;
        if (!keep_alive)
            co_await stream.async_shutdown(awaited);
        co_return keep_alive;
    }

    /// Who reads a stream of events says nothing any more: what comes is the end, or a mistake.
    static void end_with_reader(TlsStream& stream, const std::shared_ptr<Outflow>& flow) {
        const auto byte = std::make_shared<std::array<char, 1>>();
        stream.async_read_some(asio::buffer(*byte), [flow, byte](const beast::error_code&,
                                                                 std::size_t) { flow->close(); });
    }

    static asio::awaitable<void> write_flow(TlsStream& stream, Response response) {
        const auto flow = response.flow;
        http::response<http::empty_body> header(http::status::ok, 11);
        fill_header(header, response);
        header.keep_alive(false);
        stream.expires_after(write_limit);
        http::response_serializer<http::empty_body> serializer(header);
        auto [error, size] = co_await http::async_write_header(stream, serializer, awaited);
        asio::steady_timer timer(co_await asio::this_coro::executor);
        flow->wake = [&timer] { timer.cancel(); };
        end_with_reader(stream, flow);
        while (!error && (!flow->closed || !flow->chunks.empty())) {
            if (flow->chunks.empty()) {
                stream.expires_never(); // only writing has a limit
                timer.expires_after(heartbeat);
                co_await timer.async_wait(awaited);
                if (flow->chunks.empty() && !flow->closed)
                    flow->push(": still here\n\n");
                continue;
            }
            const std::string chunk = std::move(flow->chunks.front());
            flow->chunks.pop_front();
            flow->bytes -= chunk.size();
            stream.expires_after(write_limit);
            std::tie(error, size) =
                co_await asio::async_write(stream, asio::buffer(chunk), awaited);
        }
        flow->wake = nullptr;
        if (flow->ended)
            flow->ended();
    }

    asio::awaitable<void> run_websocket(TlsStream stream, Message request, Upgrade upgrade) {
        stream.expires_never();
        WebSocket socket(std::move(stream));
        socket.set_option(beast::websocket::stream_base::decorator(
            [](beast::websocket::response_type& answer) { add_security_headers(answer); }));
        co_await bridge(std::move(socket), std::move(request), std::move(upgrade));
    }

    Loop& loop;
    asio::io_context& context;
    TlsContext tls;
    Handler handler;
    tcp::acceptor acceptor;
    asio::steady_timer accept_again{context};
    std::size_t connections = 0;
    std::function<void()> drained; ///< set: no new connections
    Loop::Handle drain_timer;
    Beginners beginners;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

void Server::drain(std::function<void()> done) {
    impl_->drained = std::move(done);
    boost::system::error_code ignored;
    impl_->acceptor.close(ignored);
    for (const Impl::Visit& visit : impl_->beginners)
        if (!visit.new_here)
            visit.stream->cancel(); // idle between two requests
    impl_->drain_timer = impl_->loop.after(drain_limit, impl_->drained);
    // Behind the connection that was accepted a moment ago and is not counted yet.
    impl_->loop.post([this] {
        if (impl_->connections == 0)
            impl_->drained();
    });
}

Result<std::unique_ptr<Server>> Server::start(Loop& loop, UniqueFd listener, const std::string& pem,
                                              Handler handler) {
    try {
        auto impl = std::make_unique<Impl>(loop, pem, std::move(handler));
        sockaddr_storage address{};
        socklen_t size = sizeof(address);
        getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
        impl->acceptor.assign(address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(),
                              listener.release());
        asio::co_spawn(impl->context, impl->accept(), asio::detached);
        return std::unique_ptr<Server>(new Server(std::move(impl)));
    } catch (const boost::system::system_error& error) {
        return Fault{FaultKind::internal,
                     std::string("HTTPS cannot start: ") + error.code().message()};
    }
}

} // namespace lom::web
