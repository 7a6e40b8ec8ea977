// One attached client: a SOCK_SEQPACKET socket and an offset into the log. It holds no console
// bytes of its own: what the client has not taken stays in the log, so a client that stops reading
// costs its socket buffer and nothing else. Loop thread only; never blocks.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "kvms/console/log_file.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace lom::kvms {

class Reader : public std::enable_shared_from_this<Reader> {
  public:
    /// One message in either direction, with its kind byte.
    static constexpr std::size_t message_limit = 16U << 10U;

    struct Handlers {
        std::function<void(char kind, std::string_view payload)> message;
        std::function<void()> gone; ///< the client closed or broke the rules; comes once
    };

    Reader(Loop& loop, const LogFile& log, UniqueFd socket, std::uint64_t offset,
           Handlers handlers);

    /// Who may write now; the first call also tells the client where it stands.
    void tell_seat(bool write, const std::string& writer);
    /// Sends what the log holds for it, a bounded amount per loop turn; goes on by itself from the
    /// loop while there is more. New log bytes need a new call.
    void follow();
    /// Last words: what fits without waiting, then the reason; then close().
    void stop(const std::string& reason);
    /// No handler comes after this.
    void close();
    /// Back-pressure: stops taking messages from the client.
    void pause(bool paused);

  private:
    enum class Step { sent, caught_up, blocked, broken };

    Step send_some();
    Step send_next();
    Step send_notices();
    Step send_bytes();
    Step send(char kind, std::string_view payload);
    void skip_what_is_gone();
    void advance();
    void on_readable();
    bool hung_up() const;
    void leave();

    Loop& loop_;
    const LogFile& log_;
    UniqueFd socket_;
    std::uint64_t offset_;
    Handlers handlers_;
    // Notices that wait for room in the socket. One of each at most: a stalled client must not
    // make a queue grow, and only the latest state matters.
    bool attached_due_ = true;
    bool seat_due_ = false;
    bool write_ = false;
    std::string writer_;
    std::uint64_t skipped_ = 0;
    Loop::Handle readable_;
    Loop::Handle writable_; // exists while the client is behind
    Loop::Handle leaving_;
};

} // namespace lom::kvms
