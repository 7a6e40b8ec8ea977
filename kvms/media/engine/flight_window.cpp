#include "kvms/media/engine/flight_window.h"

#include "kvms/media/engine/block_cache.h"

#include <algorithm>

namespace lom::media {

namespace {

constexpr double shrink = 0.8;
constexpr double grow_per_round_trip = 4;
constexpr auto shortest_gap = std::chrono::microseconds(200);
constexpr std::size_t most_at_start = 32;
constexpr double rate_decay = 0.999; // per reply

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// Queueing that a reply may show before we take it for congestion: on a fast path the scheduler
/// alone makes milliseconds of it.
Clock::duration tolerated(Clock::duration best) {
    return best + best / 2 + std::chrono::milliseconds(8);
}

} // namespace

FlightWindow::Mark FlightWindow::sent(TimePoint now) {
    if (delivered_at_ == TimePoint{})
        delivered_at_ = now;
    return {now, delivered_, delivered_at_};
}

void FlightWindow::received(const Mark& mark, std::size_t bytes, bool busy, TimePoint now) {
    const Clock::duration latency = now - mark.sent;
    const double blocks = static_cast<double>(bytes) / block_size;
    note_latency(latency, now);
    if (delivered_ == 0)
        first_reply_ = now;
    else if (!probed_)
        probe(bytes, now);
    delivered_ += bytes;
    delivered_at_ = now;
    note_rate(mark, now);
    if (latency <= tolerated(best_latency()) && busy)
        limit_ += (starting_ ? prompt(latency) ? 3 : 1 : grow_per_round_trip / limit_) * blocks;
    note_queue(latency, now);
    limit_ = std::clamp(limit_, double{min_limit}, most_useful());
}

/// The first two replies were asked for at once: what lies between them is the second one's way
/// through the narrowest place.
void FlightWindow::probe(std::size_t bytes, TimePoint now) {
    probed_ = true;
    const Clock::duration gap = std::max<Clock::duration>(now - first_reply_, shortest_gap);
    const double path =
        static_cast<double>(bytes) / block_size * (seconds(best_latency()) / seconds(gap));
    roomy_ = path >= first_limit;
    start_ = limit_ = std::clamp(path / 2, double{first_limit}, double{most_at_start});
}

/// Came as fast as the first one of a burst: on a thin line only that one does.
bool FlightWindow::prompt(Clock::duration latency) const {
    return latency <= best_latency() + best_latency() / 8 + std::chrono::milliseconds(2);
}

/// Twice what the path holds finds out whether it holds more; beyond that requests only queue, and
/// their replies fill the server's buffers and leave our processor's caches.
double FlightWindow::most_useful() const {
    const double path = static_cast<double>(path_bytes()) / block_size;
    return std::min(double{max_limit}, start_ + 2 * path);
}

/// Where replies queue, all of them are late; where only we or the server were kept from work for a
/// moment, some are not. So the fastest one of each round trip tells.
void FlightWindow::note_queue(Clock::duration latency, TimePoint now) {
    round_best_ = std::min(round_best_, latency);
    if (now - round_started_ < round_best_)
        return;
    if (round_best_ > tolerated(best_latency())) {
        starting_ = false;
        limit_ *= shrink;
    }
    round_started_ = now;
    round_best_ = Clock::duration::max();
}

void FlightWindow::note_latency(Clock::duration latency, TimePoint now) {
    if (now - span_started_ > latency_span) {
        former_best_ = span_best_;
        span_best_ = Clock::duration::max();
        span_started_ = now;
    }
    span_best_ = std::min(span_best_, latency);
}

void FlightWindow::note_rate(const Mark& mark, TimePoint now) {
    const double elapsed = seconds(now - mark.delivered_at);
    const double idle_included = seconds(now - mark.sent);
    const double span = std::max({elapsed, idle_included, 1e-6});
    rate_ = std::max(rate_ * rate_decay, static_cast<double>(delivered_ - mark.delivered) / span);
}

Clock::duration FlightWindow::best_latency() const { return std::min(span_best_, former_best_); }

std::size_t FlightWindow::path_bytes() const {
    const Clock::duration best = best_latency();
    return best == Clock::duration::max() ? 0 : static_cast<std::size_t>(rate_ * seconds(best));
}

} // namespace lom::media
