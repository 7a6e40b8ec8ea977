// A person on a host's serial console: raw bytes both ways until the escape sequence, the console's
// end, or the end of their input. Comes back by itself when lomd restarts, at the byte where it
// stopped. One thread; blocks until the person leaves.
//
// When input ends (no terminal): without a single byte of it the session is a watcher and stays
// until its output closes (`ssh sp 'start -script /SP/console' </dev/null >log`); otherwise it
// leaves once the console has been quiet for a second (a here-document's last answer is seen).
#pragma once

#include "kvms/console/escape.h"
#include "shell/tree.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace lom::shell {

class ConsoleSession {
  public:
    struct Io {
        int input;
        int output;
        std::string* ahead;       ///< input that was read already; keeps what follows the escape
        std::string_view newline; ///< "\r\n" on a raw terminal
    };

    ConsoleSession(Tree& tree, control::RunRequest request, Io io)
        : tree_(tree), request_(std::move(request)), io_(io) {}

    Result<void> run(control::RunReply reply);
    /// "#." or "ESC (": how the sequence is written for people.
    static std::string escape_name(std::string_view sequence);

  private:
    enum class Step { on, leave, lost };
    using Clock = std::chrono::steady_clock;

    Step turn();
    Step take_message();
    Step take_notice(std::string_view json);
    void take_input();
    void feed(std::string_view bytes);
    void queue(std::string_view bytes);
    void send_pending();
    bool reattach();
    void hang_up();
    int timeout() const;
    void say(const std::string& line);

    Tree& tree_;
    control::RunRequest request_;
    Io io_;
    UniqueFd fd_;
    kvms::EscapeFilter filter_;
    std::deque<std::string> to_host_; ///< messages not yet taken by lomd
    std::uint64_t offset_ = 0;
    bool knows_offset_ = false;
    bool writer_ = true;
    bool escaped_ = false;
    bool input_ended_ = false;
    bool any_input_ = false;
    Clock::time_point last_byte_ = Clock::now(); ///< either way
};

} // namespace lom::shell
