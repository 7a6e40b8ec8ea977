#include "kvms/screen/past.h"

#include <algorithm>

namespace lom::kvms {

using namespace std::chrono_literals;

namespace {

constexpr auto still = 100ms;
// As much is to be left when lomd tells of a reset, however busy the machine is.
constexpr auto wanted_reach = 3000ms;

std::size_t size_of(const Frame& frame) { return frame.pixels.size() * sizeof(frame.pixels[0]); }

std::size_t most_pictures(const Frame& frame) {
    return std::max(Past::least_pictures,
                    Past::most_bytes / std::max<std::size_t>(1, size_of(frame)));
}

bool one_colour(const Frame& frame) {
    return std::all_of(frame.pixels.begin(), frame.pixels.end(),
                       [&](std::uint32_t pixel) { return pixel == frame.pixels.front(); });
}

} // namespace

void Past::changing(const Frame& frame, Time since, Time now) {
    const auto apart = wanted_reach / static_cast<int>(most_pictures(frame) - 1);
    const bool moving = now - since < still;
    if (!moving || pictures_.empty() || since - pictures_.back().since >= apart)
        keep(frame, since);
}

void Past::keep(const Frame& frame, Time since) {
    // The first was to be seen until the second came.
    while (pictures_.size() >= most_pictures(frame) ||
           (pictures_.size() > 1 && since - pictures_[1].since > reach))
        pictures_.pop_front();
    pictures_.push_back({frame, since, one_colour(frame)});
}

const Frame* Past::at(Time time) const {
    if (pictures_.empty())
        return nullptr;
    auto after = std::find_if(pictures_.begin(), pictures_.end(),
                              [time](const Picture& picture) { return picture.since > time; });
    if (after == pictures_.begin())
        return &after->frame;
    const auto newest = std::prev(after);
    while (after != pictures_.begin())
        if (!(--after)->blank)
            return &after->frame;
    return &newest->frame;
}

} // namespace lom::kvms
