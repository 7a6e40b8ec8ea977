#include "web/webhook.h"

#include "web/digest.h"
#include "web/json.h"
#include "web/redfish/events.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/url.hpp>

#include <sys/socket.h>

#include <algorithm>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace lom::web {

using namespace std::chrono_literals;

namespace {

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);
constexpr auto attempt_limit = 15s;
constexpr std::chrono::seconds longest_pause{60};
constexpr std::size_t longest_event = 64U << 10U;
constexpr std::uint64_t longest_answer = 64U << 10U;

struct Hook {
    std::string host;
    std::string port;
    std::string path;
    std::string context;
    std::string secret;
    bool tls = true;
    bool verify = true;
};

class Deliverer {
  public:
    Deliverer(Hook hook, int status, UniqueFd events)
        : hook_(std::move(hook)), status_(status), events_(context_, events.release()) {
        tls_.set_default_verify_paths();
        tls_.set_verify_mode(hook_.verify ? asio::ssl::verify_peer : asio::ssl::verify_none);
    }

    int run() {
        asio::co_spawn(context_, work(), asio::detached);
        asio::co_spawn(context_, watch_lomd(), asio::detached);
        context_.run();
        return 0;
    }

  private:
    asio::awaitable<void> work() {
        std::string change(longest_event, '\0');
        for (std::int64_t id = 1;; ++id) {
            const ssize_t count =
                recv(events_.native_handle(), change.data(), change.size(), MSG_DONTWAIT);
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
                if (const auto [error] = co_await events_.async_wait(
                        asio::posix::stream_descriptor::wait_read, awaited);
                    error)
                    co_return;
                continue;
            }
            if (count <= 0)
                co_return; // lomd has ended this webhook
            const std::string event =
                redfish_event(change.substr(0, static_cast<std::size_t>(count)), id, hook_.context);
            if (!event.empty())
                co_await insist(event, std::to_string(id));
        }
    }

    /// Ends everything, also a delivery that is tried again and again, when lomd lets go of us.
    asio::awaitable<void> watch_lomd() {
        asio::posix::stream_descriptor lomd(context_, dup(status_));
        (void)co_await lomd.async_wait(asio::posix::stream_descriptor::wait_read, awaited);
        context_.stop();
    }

    /// Until it is taken. Meanwhile lomd keeps 512 events, then says that some were missed.
    asio::awaitable<void> insist(const std::string& event, const std::string& id) {
        asio::steady_timer timer(context_);
        std::chrono::seconds pause = 1s;
        for (;;) {
            const std::string trouble = co_await post(event, id);
            say(trouble.empty() ? "delivered" : "not delivered, will be tried again: " + trouble);
            if (trouble.empty())
                co_return;
            timer.expires_after(pause);
            co_await timer.async_wait(awaited);
            pause = std::min(pause * 2, longest_pause);
        }
    }

    void say(const std::string& text) {
        if (text == said_)
            return;
        said_ = text;
        const std::string line = text + "\n";
        (void)::send(status_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    /// One attempt; empty: the receiver has taken it.
    asio::awaitable<std::string> post(const std::string& event, const std::string& id) {
        tcp::resolver resolver(context_);
        const auto [found_error, found] =
            co_await resolver.async_resolve(hook_.host, hook_.port, awaited);
        if (found_error)
            co_return hook_.host + ": " + found_error.message();
        beast::ssl_stream<beast::tcp_stream> stream(context_, tls_);
        auto& tcp_part = stream.next_layer();
        tcp_part.expires_after(attempt_limit);
        const auto [connect_error, endpoint] = co_await tcp_part.async_connect(found, awaited);
        if (connect_error)
            co_return connect_error.message();
        if (!hook_.tls)
            co_return co_await exchange(tcp_part, event, id);
        // What the macro SSL_set_tlsext_host_name does, without its old-style cast.
        std::string name = hook_.host;
        SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 name.data());
        if (hook_.verify)
            stream.set_verify_callback(asio::ssl::host_name_verification(hook_.host));
        const auto [error] =
            co_await stream.async_handshake(asio::ssl::stream_base::client, awaited);
        if (error)
            co_return "TLS: " + error.message();
        co_return co_await exchange(stream, event, id);
    }

    template <typename Stream>
    asio::awaitable<std::string> exchange(Stream& stream, const std::string& event,
                                          const std::string& id) {
        http::request<http::string_body> request(http::verb::post, hook_.path, 11);
        request.set(http::field::host, hook_.host);
        request.set(http::field::content_type, "application/json; charset=utf-8");
        request.set(http::field::user_agent, "OpenLOM");
        request.set("OData-Version", "4.0");
        request.set("X-OpenLOM-Delivery", id);
        if (!hook_.secret.empty())
            request.set("X-OpenLOM-Signature", "sha256=" + hmac_sha256_hex(hook_.secret, event));
        request.keep_alive(false);
        request.body() = event;
        request.prepare_payload();
        const auto [write_error, written] = co_await http::async_write(stream, request, awaited);
        if (write_error)
            co_return write_error.message();
        beast::flat_buffer buffer;
        http::response_parser<http::string_body> parser;
        parser.body_limit(longest_answer);
        const auto [read_error, size] =
            co_await http::async_read_header(stream, buffer, parser, awaited);
        if (read_error)
            co_return read_error.message();
        const int status = parser.get().result_int();
        co_return status / 100 == 2 ? "" : "the receiver answered " + std::to_string(status);
    }

    asio::io_context context_{1};
    asio::ssl::context tls_{asio::ssl::context::tls_client};
    Hook hook_;
    int status_;
    asio::posix::stream_descriptor events_;
    std::string said_;
};

std::string first_line(int fd) {
    std::string line;
    char c = 0;
    while (line.size() < longest_event && read(fd, &c, 1) == 1 && c != '\n')
        line += c;
    return line;
}

} // namespace

int deliver_events(UniqueFd hook_fd, UniqueFd events) {
    const auto object = parse_body(first_line(hook_fd.get()));
    const std::string destination = object ? fields::text(*object, "destination") : "";
    const auto uri = boost::urls::parse_uri(destination); // a view of it
    if (!object || !uri)
        return 4;
    Hook hook;
    hook.tls = uri->scheme_id() == boost::urls::scheme::https;
    hook.host = uri->host_address();
    hook.port = uri->has_port() ? std::string(uri->port()) : hook.tls ? "443" : "80";
    hook.path = uri->encoded_target().empty() ? "/" : std::string(uri->encoded_target());
    hook.context = fields::text(*object, "context");
    hook.secret = fields::text(*object, "secret");
    hook.verify = fields::flag(*object, "verify", true);
    return Deliverer(std::move(hook), hook_fd.get(), std::move(events)).run();
}

} // namespace lom::web
