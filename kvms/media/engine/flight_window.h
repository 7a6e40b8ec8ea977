// How many block requests may be under way. Grows while replies come about as fast as they can and
// shrinks when they queue up somewhere (as LEDBAT does), and measures what the path holds
// (bandwidth x delay), which sizes the first read-ahead. Sans-IO; one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lom::media {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class FlightWindow {
  public:
    static constexpr std::size_t min_limit = 4;
    static constexpr std::size_t first_limit = 16;
    static constexpr std::size_t max_limit = 256;

    /// What has to be remembered with each request.
    struct Mark {
        TimePoint sent;
        std::uint64_t delivered = 0;
        TimePoint delivered_at;
    };

    Mark sent(TimePoint now);
    /// `busy`: the window was what held further requests back.
    void received(const Mark& mark, std::size_t bytes, bool busy, TimePoint now);

    std::size_t limit() const { return static_cast<std::size_t>(limit_); }
    /// Bytes that the path holds; 0 while unknown.
    std::size_t path_bytes() const;
    /// Whether no reply has had to queue yet: the path may hold more than we know.
    bool starting() const { return starting_; }
    /// Whether the path carried the first bytes so fast that guesses cost nobody anything.
    bool roomy() const { return roomy_ && starting_; }
    /// Of the fastest replies lately; max() while unknown.
    Clock::duration best_latency() const;

  private:
    void probe(std::size_t bytes, TimePoint now);
    bool prompt(Clock::duration latency) const;
    double most_useful() const;
    void note_queue(Clock::duration latency, TimePoint now);
    void note_latency(Clock::duration latency, TimePoint now);
    void note_rate(const Mark& mark, TimePoint now);

    // Minimum over this span and the one before it: a route that got longer is forgiven.
    static constexpr auto latency_span = std::chrono::seconds(30);

    double limit_ = first_limit;
    double start_ = first_limit; ///< limit_ after the first two replies
    TimePoint first_reply_{};
    bool probed_ = false;
    bool roomy_ = false;
    bool starting_ = true;
    std::uint64_t delivered_ = 0;
    TimePoint delivered_at_{};
    TimePoint span_started_{};
    Clock::duration span_best_ = Clock::duration::max();
    Clock::duration former_best_ = Clock::duration::max();
    TimePoint round_started_{};
    Clock::duration round_best_ = Clock::duration::max();
    double rate_ = 0; ///< bytes per second, a decaying maximum
};

} // namespace lom::media
