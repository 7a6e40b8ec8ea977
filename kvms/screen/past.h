// The last few seconds of a picture: what a screen showed before a reset is asked for when the
// firmware has painted over it already. Pictures that stood still for a moment are kept all; of
// moving ones, one now and then. Standard library only; any thread, one owner.
#pragma once

#include "kvms/screen/frame.h"

#include <chrono>
#include <cstddef>
#include <deque>

namespace lom::kvms {

class Past {
  public:
    /// QEMU tells the times of its events by this clock.
    using Clock = std::chrono::system_clock;
    using Time = Clock::time_point;
    static constexpr auto reach = std::chrono::seconds(10);
    static constexpr std::size_t most_bytes = 12U << 20U; ///< but three pictures of any size
    static constexpr std::size_t least_pictures = 3;

    /// The picture, whole since then, is about to change.
    void changing(const Frame& frame, Time since, Time now);
    void keep(const Frame& frame, Time since);
    /// What was to be seen at that time, or the oldest that is left; an empty screen only if there
    /// was nothing else before. Null: nothing was seen yet.
    const Frame* at(Time time) const;
    void forget() { pictures_.clear(); }

  private:
    struct Picture {
        Frame frame;
        Time since;
        bool blank; ///< all of one colour
    };
    std::deque<Picture> pictures_; ///< the newest last
};

} // namespace lom::kvms
