#include "shell/console_session.h"

#include "shell/output.h"
#include "shell/text.h"

#include <boost/json.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

namespace lom::shell {

using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

constexpr auto quiet_before_leaving = 1s;
constexpr auto escape_patience = 1s;
constexpr std::chrono::milliseconds hang_up_patience{300};
constexpr std::size_t longest_message = 256U << 10U;
constexpr std::size_t longest_input = 4096;

std::string text_of(const json::object& notice, std::string_view key) {
    const json::value* value = notice.if_contains(key);
    return value && value->is_string() ? printable(std::string_view(value->get_string())) : "";
}

bool flag_of(const json::object& notice, std::string_view key) {
    const json::value* value = notice.if_contains(key);
    return value && value->is_bool() && value->get_bool();
}

std::uint64_t number_of(const json::object& notice, std::string_view key) {
    const json::value* value = notice.if_contains(key);
    boost::system::error_code error;
    return value ? value->to_number<std::uint64_t>(error) : 0;
}

} // namespace

std::string ConsoleSession::escape_name(std::string_view sequence) {
    std::string name;
    for (const char c : sequence) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\x1b')
            name += "ESC ";
        else if (byte < 0x20)
            name += {'^', static_cast<char>(c + '@')};
        else
            name += c;
    }
    return name;
}

void ConsoleSession::say(const std::string& line) {
    (void)write_all(io_.output, line + std::string(io_.newline));
}

Result<void> ConsoleSession::run(control::RunReply reply) {
    say("Serial console started.  To stop, type " + escape_name(reply.escape));
    filter_ = kvms::EscapeFilter(reply.escape);
    fd_ = std::move(reply.fd);
    if (!io_.ahead->empty())
        feed(std::exchange(*io_.ahead, {}));
    for (;;) {
        const Step step = escaped_ ? Step::leave : turn();
        if (step == Step::on)
            continue;
        if (step == Step::lost && reattach())
            continue;
        break;
    }
    hang_up();
    (void)write_all(io_.output, io_.newline);
    say("Serial console stopped.");
    return {};
}

// Waits for lomd's side to close first: to close with output unread would be an error to lomd,
// which might then miss the last input.
void ConsoleSession::hang_up() {
    if (!fd_)
        return;
    shutdown(fd_.get(), SHUT_WR);
    std::vector<char> unread(longest_message);
    const auto deadline = Clock::now() + hang_up_patience;
    for (auto left = hang_up_patience; left > 0ms;
         left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now())) {
        pollfd entry{fd_.get(), POLLIN, 0};
        if (poll(&entry, 1, static_cast<int>(left.count())) <= 0 ||
            recv(fd_.get(), unread.data(), unread.size(), MSG_DONTWAIT) <= 0)
            return;
    }
}

int ConsoleSession::timeout() const {
    const bool leaving = input_ended_ && any_input_ && to_host_.empty();
    if (!leaving && !filter_.pending())
        return -1;
    const auto due = last_byte_ + (filter_.pending() ? escape_patience : quiet_before_leaving);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    return static_cast<int>(std::max<long>(left.count(), 0));
}

ConsoleSession::Step ConsoleSession::turn() {
    const bool read_input = !input_ended_ && to_host_.empty();
    const short host_events = to_host_.empty() ? POLLIN : POLLIN | POLLOUT;
    std::array<pollfd, 3> entries{pollfd{fd_.get(), host_events, 0},
                                  pollfd{read_input ? io_.input : -1, POLLIN, 0},
                                  pollfd{io_.output, 0, 0}}; // only whether it still exists
    const int ready = poll(entries.data(), entries.size(), timeout());
    if (ready < 0)
        return errno == EINTR ? Step::on : Step::leave;
    if (ready == 0 && filter_.pending()) {
        queue(filter_.flush());
        last_byte_ = Clock::now();
        return Step::on;
    }
    if (ready == 0)
        return input_ended_ && any_input_ && timeout() == 0 ? Step::leave : Step::on;
    if ((entries[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return Step::leave;
    if ((entries[0].revents & POLLOUT) != 0)
        send_pending();
    if (entries[1].revents != 0)
        take_input();
    if ((entries[0].revents & ~POLLOUT) != 0)
        return take_message();
    return Step::on;
}

ConsoleSession::Step ConsoleSession::take_message() {
    static thread_local std::vector<char> buffer(longest_message);
    const ssize_t count = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return Step::on;
    if (count <= 0)
        return Step::lost;
    const std::string_view message(buffer.data(), static_cast<std::size_t>(count));
    if (message.front() == 'n')
        return take_notice(message.substr(1));
    if (message.front() == 'd') {
        offset_ += message.size() - 1;
        last_byte_ = Clock::now();
        return write_all(io_.output, message.substr(1)) ? Step::on : Step::leave;
    }
    return Step::on;
}

ConsoleSession::Step ConsoleSession::take_notice(std::string_view text) {
    boost::system::error_code error;
    const json::value value = json::parse(text, error);
    if (error || !value.is_object())
        return Step::on;
    const json::object& notice = value.get_object();
    const std::string type = text_of(notice, "type");
    const std::string newline(io_.newline);
    if (type == "attached") {
        offset_ = number_of(notice, "offset");
        knows_offset_ = true;
    }
    if (type == "attached" || type == "writer") {
        const bool was_writer = std::exchange(writer_, flag_of(notice, "write"));
        const std::string who = text_of(notice, "writer");
        if (!writer_)
            say((type == "writer" ? newline : "") +
                "[read-only console session: " + (who.empty() ? "nobody" : who) +
                " has the right to type; start -force " + request_.target + " takes it]");
        else if (!was_writer)
            say(newline + "[this console session has the right to type now]");
    } else if (type == "skipped") {
        const std::uint64_t bytes = number_of(notice, "bytes");
        offset_ += bytes;
        say(newline + "[" + std::to_string(bytes) + " bytes of the console are lost here: the " +
            "history no longer held them]");
    } else if (type == "stopped") {
        const std::string reason = text_of(notice, "reason");
        if (!reason.empty())
            say(newline + "[" + reason + "]");
        return Step::leave;
    }
    return Step::on;
}

void ConsoleSession::take_input() {
    std::array<char, longest_input> buffer; // NOLINT: filled by read
    const ssize_t count = read(io_.input, buffer.data(), buffer.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count > 0) {
        feed(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    } else {
        input_ended_ = true;
        last_byte_ = Clock::now();
    }
}

void ConsoleSession::feed(std::string_view bytes) {
    any_input_ = true;
    last_byte_ = Clock::now();
    const auto fed = filter_.feed(bytes);
    queue(fed.pass);
    if (fed.escaped) {
        escaped_ = true;
        io_.ahead->assign(fed.rest);
    }
    send_pending();
}

// ESC and B that come together are a serial break, as on ILOM: console programs send them in one
// piece (ConMan's &B). By hand, one after the other, they are a command of vi and go to the host.
void ConsoleSession::queue(std::string_view bytes) {
    constexpr std::string_view break_keys = "\033B";
    while (!bytes.empty()) {
        if (bytes.substr(0, break_keys.size()) == break_keys) {
            to_host_.emplace_back("b");
            bytes.remove_prefix(break_keys.size());
            continue;
        }
        const auto piece = bytes.substr(0, std::min(bytes.find(break_keys), longest_input));
        to_host_.push_back("d" + std::string(piece));
        bytes.remove_prefix(piece.size());
    }
}

void ConsoleSession::send_pending() {
    while (!to_host_.empty()) {
        const std::string& message = to_host_.front();
        const ssize_t count =
            send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0)
            return; // a full socket is polled for; a closed one shows when it is read
        to_host_.pop_front();
    }
}

// lomd is gone, the guest is not: the same console again, where it was.
bool ConsoleSession::reattach() {
    control::RunRequest request = request_;
    request.force = writer_; // nobody else may have got the seat meanwhile
    request.resumed = true;
    if (knows_offset_)
        request.console_offset = offset_;
    constexpr int attempts = 3;
    for (int i = 0; i < attempts; ++i) {
        auto reply = tree_.run(request);
        if (reply && reply->fd) {
            fd_ = std::move(reply->fd);
            return true;
        }
        if (reply || reply.fault().kind != FaultKind::unavailable) {
            say(std::string(io_.newline) + "[" +
                (reply ? "no console" : printable(reply.fault().message)) + "]");
            return false;
        }
    }
    say(std::string(io_.newline) + "[the service processor does not answer]");
    return false;
}

} // namespace lom::shell
