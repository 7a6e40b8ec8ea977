// Somebody asks whoever has the keyboard of a console or a screen for it: the holder gives it or
// keeps it, and who says nothing for half a minute gives it. One request at a time; it is lost with
// lomd, and may be made again. Sessions are ids in /SP/sessions. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"

#include <chrono>
#include <functional>
#include <string>

namespace lom {

/// The session of who writes; empty: nobody.
template <typename People>
std::string holder_of(const People& people) {
    for (const auto& person : people)
        if (person.writer)
            return person.session;
    return {};
}

class SeatRequest {
  public:
    struct Seat {
        std::function<std::string()> holder;                      ///< whose it is; empty: nobody's
        std::function<bool(const std::string& session)> may_have; ///< is there, and may write
        std::function<void(const std::string& session)> give;
        std::function<void()> changed; ///< who asks
    };
    static constexpr std::chrono::milliseconds patience{30'000};

    SeatRequest(Loop& loop, Seat seat, std::chrono::milliseconds limit = patience)
        : loop_(loop), seat_(std::move(seat)), limit_(limit) {}

    /// A sentence for who asked.
    Result<std::string> ask(const std::string& session, const std::string& who);
    Result<std::string> give(const std::string& session);
    Result<std::string> keep(const std::string& session);
    /// After somebody came, went or sat down.
    void review();
    /// "bob (127.0.0.1)"; empty: nobody asks.
    const std::string& who() const { return who_; }

  private:
    Result<void> must_hold(const std::string& session) const;
    void hand_over();
    void forget();

    Loop& loop_;
    Seat seat_;
    std::chrono::milliseconds limit_;
    std::string session_;
    std::string who_;
    Loop::Handle limit_timer_;
};

} // namespace lom
