#include "kvms/console/reader.h"

#include <boost/json.hpp>

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

namespace lom::kvms {

namespace {

constexpr int messages_per_turn = 4;     // each way, then the loop serves the others
constexpr int socket_buffer = 64 * 1024; // the kernel doubles it
constexpr std::chrono::milliseconds soon{0};

} // namespace

Reader::Reader(Loop& loop, const LogFile& log, UniqueFd socket, std::uint64_t offset,
               Handlers handlers)
    : loop_(loop), log_(log), socket_(std::move(socket)), offset_(offset),
      handlers_(std::move(handlers)) {
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &socket_buffer, sizeof(socket_buffer));
    pause(false);
}

void Reader::tell_seat(bool write, const std::string& writer) {
    if (write_ == write && writer_ == writer && !attached_due_)
        return;
    write_ = write;
    writer_ = writer;
    seat_due_ = !attached_due_;
    follow();
}

void Reader::follow() {
    if (socket_ && !readable_ && hung_up())
        return leave();
    if (socket_ && !writable_ && !leaving_)
        advance();
}

void Reader::advance() {
    const Step step = send_some();
    if (step == Step::broken)
        leave();
    else if (step == Step::caught_up)
        writable_.reset();
    else if (!writable_)
        writable_ = loop_.watch(socket_.get(), Loop::Wait::writable, [this] { advance(); });
}

Reader::Step Reader::send_some() {
    Step step = Step::sent;
    for (int i = 0; i < messages_per_turn && step == Step::sent; ++i)
        step = send_next();
    return step;
}

Reader::Step Reader::send_next() {
    const Step notices = send_notices();
    return notices == Step::caught_up ? send_bytes() : notices;
}

Reader::Step Reader::send_notices() {
    using boost::json::serialize;
    if (attached_due_) {
        const Step step = send('n', serialize(boost::json::object{{"type", "attached"},
                                                                  {"offset", offset_},
                                                                  {"write", write_},
                                                                  {"writer", writer_}}));
        attached_due_ = step != Step::sent;
        return step;
    }
    if (seat_due_) {
        const Step step =
            send('n', serialize(boost::json::object{
                          {"type", "writer"}, {"write", write_}, {"writer", writer_}}));
        seat_due_ = step != Step::sent;
        return step;
    }
    skip_what_is_gone();
    if (skipped_ > 0) {
        const Step step =
            send('n', serialize(boost::json::object{{"type", "skipped"}, {"bytes", skipped_}}));
        if (step == Step::sent)
            skipped_ = 0;
        return step;
    }
    return Step::caught_up;
}

// Skipped bytes add up until the client can be told, and are told before any byte behind them.
void Reader::skip_what_is_gone() {
    if (offset_ >= log_.start())
        return;
    skipped_ += log_.start() - offset_;
    offset_ = log_.start();
}

Reader::Step Reader::send_bytes() {
    std::array<char, message_limit - 1> buffer; // NOLINT: filled by read
    const std::size_t count = log_.read(offset_, buffer);
    if (count == 0 && offset_ > log_.end()) {
        // Somebody truncated the log. The client's count is void: tell it where it stands.
        offset_ = log_.end();
        attached_due_ = true;
        return Step::sent;
    }
    if (count == 0)
        return Step::caught_up;
    const Step step = send('d', std::string_view(buffer.data(), count));
    if (step == Step::sent)
        offset_ += count;
    return step == Step::sent && count < buffer.size() ? Step::caught_up : step;
}

Reader::Step Reader::send(char kind, std::string_view payload) {
    std::array<iovec, 2> parts{iovec{&kind, 1},
                               iovec{const_cast<char*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    // A message of this size is queued whole or not at all: half the buffer is larger than it.
    if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return Step::sent;
    return errno == EAGAIN || errno == EINTR ? Step::blocked : Step::broken;
}

void Reader::stop(const std::string& reason) {
    if (socket_ && !leaving_) {
        send_some();
        send('n',
             boost::json::serialize(boost::json::object{{"type", "stopped"}, {"reason", reason}}));
    }
    close();
}

void Reader::close() {
    readable_.reset();
    writable_.reset();
    leaving_.reset();
    socket_.reset();
}

void Reader::pause(bool paused) {
    if (paused)
        readable_.reset();
    else if (socket_ && !readable_ && !leaving_)
        readable_ = loop_.watch(socket_.get(), Loop::Wait::readable, [this] { on_readable(); });
}

// Nobody reads a paused client's end of file, and its write seat must not stay taken for it.
bool Reader::hung_up() const {
    pollfd state{socket_.get(), 0, 0};
    return poll(&state, 1, 0) > 0;
}

void Reader::on_readable() {
    const auto keep = shared_from_this();   // the handler may let go of us
    std::array<char, message_limit> buffer; // NOLINT: filled by recv
    for (int i = 0; i < messages_per_turn && readable_; ++i) {
        // MSG_TRUNC: the true length of a message that was too long.
        const ssize_t count =
            recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0 || static_cast<std::size_t>(count) > buffer.size())
            return leave();
        handlers_.message(buffer[0],
                          std::string_view(buffer.data() + 1, static_cast<std::size_t>(count) - 1));
    }
}

// From the loop, not from here: whoever called us may be walking over all readers.
void Reader::leave() {
    readable_.reset();
    writable_.reset();
    if (!leaving_)
        leaving_ = loop_.after(soon, handlers_.gone);
}

} // namespace lom::kvms
