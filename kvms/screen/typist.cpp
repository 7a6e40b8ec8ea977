#include "kvms/screen/typist.h"

#include <chrono>

namespace lom::kvms {

using namespace std::chrono_literals;

namespace {

// A USB keyboard of QEMU's holds 16 events, and a guest polls it every 8 ms.
constexpr auto pace = 12ms;
constexpr std::size_t most_waiting = 6 * Typist::longest_text;

constexpr Stroke shift{0xffe1, 0x2a, true};
constexpr Stroke alt_graph{0xfe03, 0xb8, true};

/// The next character of UTF-8; what is none counts as itself.
char32_t take_character(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 1 || text.size() < length) {
        text.remove_prefix(1);
        return first;
    }
    char32_t code = first & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i)
        code = code << 6U | (static_cast<unsigned char>(text[i]) & 0x3fU);
    text.remove_prefix(length);
    return code;
}

Stroke released(Stroke stroke) {
    stroke.down = false;
    return stroke;
}

} // namespace

void Typist::type(std::string_view text) {
    std::vector<Stroke> strokes;
    text = text.substr(0, longest_text);
    char32_t before = 0;
    while (!text.empty()) {
        const char32_t character = take_character(text);
        const bool second_half = character == '\n' && before == '\r';
        before = character;
        const auto found = layout_.find(character == '\r' ? U'\n' : character);
        if (found == layout_.end() || second_half)
            continue;
        const LayoutKey& key = found->second;
        const Stroke stroke{static_cast<std::uint32_t>(character), key.code, true};
        if (key.shift)
            strokes.push_back(shift);
        if (key.alt_graph)
            strokes.push_back(alt_graph);
        strokes.push_back(stroke);
        strokes.push_back(released(stroke));
        if (key.alt_graph)
            strokes.push_back(released(alt_graph));
        if (key.shift)
            strokes.push_back(released(shift));
    }
    press(strokes);
}

void Typist::press(const std::vector<Stroke>& strokes) {
    for (const Stroke& stroke : strokes)
        if (waiting_.size() < most_waiting)
            waiting_.push_back(stroke);
    if (!timer_)
        next();
}

void Typist::next() {
    timer_.reset();
    if (waiting_.empty())
        return;
    press_(waiting_.front());
    waiting_.pop_front();
    timer_ = loop_.after(pace, [this] { next(); });
}

} // namespace lom::kvms
