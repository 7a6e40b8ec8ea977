#include "web/bridge.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;

namespace lom::web {

using namespace std::chrono_literals;

namespace {

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);
// One message of kvms/console has at most 16 KiB with its kind.
constexpr std::size_t longest_input = 15U << 10U;
constexpr std::size_t longest_screen_message = 1U << 20U; // of a viewer: clipboard text
constexpr std::size_t piece = 16U << 10U;
constexpr auto word_of_the_session = 100ms;

using Descriptor = asio::posix::stream_descriptor;

/// Sends one record, or bytes, waiting for room; false when the other end has gone.
asio::awaitable<bool> send_all(Descriptor& fd, std::string_view bytes, bool record) {
    while (!bytes.empty()) {
        const ssize_t count =
            ::send(fd.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            co_return false;
        if (count >= 0)
            bytes.remove_prefix(record ? bytes.size() : static_cast<std::size_t>(count));
        else if (const auto [error] = co_await fd.async_wait(Descriptor::wait_write, awaited);
                 error)
            co_return false;
    }
    co_return true;
}

asio::awaitable<bool> console_input(Descriptor& fd, bool text, const std::string& message) {
    if (text) { // the one thing to say besides input
        if (message.find("\"break\"") != std::string::npos)
            co_return co_await send_all(fd, "b", true);
        co_return true;
    }
    for (std::size_t at = 0; at < message.size(); at += longest_input)
        if (!co_await send_all(fd, "d" + message.substr(at, longest_input), true))
            co_return false;
    co_return true;
}

asio::awaitable<void> from_browser(WebSocket& socket, Descriptor& fd, Upgrade::Kind kind) {
    beast::flat_buffer buffer;
    for (;;) {
        const auto [error, size] = co_await socket.async_read(buffer, awaited);
        if (error)
            co_return;
        const std::string message = beast::buffers_to_string(buffer.data());
        buffer.consume(buffer.size());
        const bool sent = kind == Upgrade::Kind::console
                              ? co_await console_input(fd, socket.got_text(), message)
                              : co_await send_all(fd, message, false);
        if (!sent)
            co_return;
    }
}

asio::awaitable<void> to_browser(WebSocket& socket, Descriptor& fd, Upgrade::Kind kind) {
    static std::array<char, piece>
        room; // one thread: hundreds who only wait need none of their own
    for (;;) {
        const ssize_t count = recv(fd.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (const auto [error] = co_await fd.async_wait(Descriptor::wait_read, awaited); error)
                co_return;
            continue;
        }
        if (count <= 0) { // lomd has gone, or ended it: with its session, then that is heard soon
            asio::steady_timer pause(co_await asio::this_coro::executor, word_of_the_session);
            co_await pause.async_wait(awaited);
            co_await socket.async_close(websocket::close_code::service_restart, awaited);
            co_return;
        }
        const std::string bytes(room.data(), static_cast<std::size_t>(count));
        std::string_view out(bytes);
        const bool notice = kind == Upgrade::Kind::console && out[0] == 'n';
        if (kind == Upgrade::Kind::console)
            out.remove_prefix(1);
        socket.text(notice);
        const auto [error, size] =
            co_await socket.async_write(asio::buffer(out.data(), out.size()), awaited);
        if (error)
            co_return;
    }
}

/// The session has ended. Closed from here: leaving it to the others would end them first, and with
/// them the websocket, before the browser is told why.
asio::awaitable<void> until_cut(WebSocket& socket, const std::shared_ptr<bool>& cut,
                                asio::steady_timer& timer) {
    while (!*cut) {
        timer.expires_after(1h);
        co_await timer.async_wait(awaited);
    }
    co_await socket.async_close(websocket::close_code::policy_error, awaited);
}

} // namespace

asio::awaitable<void>
bridge(WebSocket socket, beast::http::request<beast::http::string_body> request, Upgrade upgrade) {
    using namespace asio::experimental::awaitable_operators;
    socket.set_option(websocket::stream_base::timeout{10s, 60s, true});
    socket.read_message_max(upgrade.kind == Upgrade::Kind::console ? 64U << 10U
                                                                   : longest_screen_message);
    socket.auto_fragment(false); // a message is short, and needs no copy of it then
    const auto [error] = co_await socket.async_accept(request, awaited);
    if (!error) {
        const auto executor = co_await asio::this_coro::executor;
        Descriptor fd(executor, upgrade.fd.release());
        asio::steady_timer timer(executor);
        *upgrade.wake = [&timer] { timer.cancel(); };
        bool greeted = true;
        if (!upgrade.first_text.empty()) {
            socket.text(true);
            const auto [write_error, size] =
                co_await socket.async_write(asio::buffer(upgrade.first_text), awaited);
            greeted = !write_error;
        }
        socket.binary(true);
        if (greeted)
            co_await (from_browser(socket, fd, upgrade.kind) ||
                      to_browser(socket, fd, upgrade.kind) ||
                      until_cut(socket, upgrade.cut, timer));
        *upgrade.wake = nullptr;
    }
    if (upgrade.ended)
        upgrade.ended();
}

} // namespace lom::web
