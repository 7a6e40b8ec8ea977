// Types a text on the host's keyboard, a key at a time, no faster than a guest takes them. Loop
// thread only.
#pragma once

#include "base/loop.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

/// One key going down or up; `code` is an XT scan code as in QEMU's extended key event.
struct Stroke {
    std::uint32_t keysym = 0;
    std::uint32_t code = 0;
    bool down = false;
};

/// Which keys give a character in the chosen layout: the key's scan code, and what is held with it.
struct LayoutKey {
    std::uint32_t code = 0;
    bool shift = false;
    bool alt_graph = false;
};
using Layout = std::map<char32_t, LayoutKey>;

class Typist {
  public:
    static constexpr std::size_t longest_text = 8192;

    Typist(Loop& loop, std::function<void(const Stroke&)> press)
        : loop_(loop), press_(std::move(press)) {}

    void use_layout(Layout layout) { layout_ = std::move(layout); }
    /// Characters that the layout does not have are left out.
    void type(std::string_view text);
    void press(const std::vector<Stroke>& strokes);
    void forget() { waiting_.clear(); }

  private:
    void next();

    Loop& loop_;
    std::function<void(const Stroke&)> press_;
    Layout layout_;
    std::deque<Stroke> waiting_;
    Loop::Handle timer_;
};

} // namespace lom::kvms
