// Bytes from the person's side, with what was read ahead kept for whoever reads next (a command
// line, an answer, a console). Waits on the control connection too, so that a session that lomd
// ended stops at once. One thread.
#pragma once

#include "base/fd.h"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lom::shell {

class RemoteTree;

/// False: Ctrl-C came meanwhile (and is forgotten).
bool rest_for(std::chrono::milliseconds time);

class Input {
  public:
    enum class Event {
        byte,
        end,         ///< end of file, or the session is over
        interrupted, ///< Ctrl-C
        resized,
        recovered ///< lomd went and came back; notices were printed
    };

    /// Installs handlers for SIGINT and SIGWINCH when `signals` is set: one Input per process.
    /// `no_more`, if there is one: when its other end is closed, what has come is all there is (a
    /// terminal has no end of file that can be told from a key).
    Input(int fd, RemoteTree& tree, bool signals, UniqueFd no_more = {});
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    /// The next byte, or what happened instead.
    Event next(char& byte);
    /// A line without its end (CR, LF or CRLF); text beyond `limit` bytes is dropped.
    std::optional<std::string> line(std::size_t limit);

    int fd() const { return fd_; }
    /// What was read and not yet used, for a console; what that leaves is put back.
    std::string take_ahead();
    void put_back(std::string bytes);
    /// Whether Ctrl-C came; taking it forgets it.
    static bool interrupt_pending();
    static bool take_interrupt();

  private:
    Event wait();
    Event refill();

    int fd_;
    RemoteTree& tree_;
    UniqueFd no_more_;
    std::string ahead_;
    std::size_t used_ = 0; ///< of ahead_
    bool after_cr_ = false;
};

} // namespace lom::shell
