#include "kvms/screen/picture.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace lom::kvms {

namespace {

constexpr int width = 720;
constexpr int height = 400;
constexpr int margin = 40;
constexpr std::uint32_t ground = 0x10151c;
constexpr std::uint32_t bright = 0xe6e9ee;
constexpr std::uint32_t dim = 0x8b94a3;
constexpr std::uint32_t line_colour = 0xc74634;

/// Draws a line of text, each dot `scale` times as large; gives the height used.
int draw_text(Frame& frame, const Font& font, std::string_view text, int top, int scale,
              std::uint32_t colour) {
    int left = margin;
    for (const char c : text) {
        const Font::Glyph& glyph = font.glyph(static_cast<unsigned char>(c));
        if (left + Font::width * scale > frame.width || top + font.height() * scale > frame.height)
            break;
        for (int y = 0; y < font.height() * scale; ++y)
            for (int x = 0; x < Font::width * scale; ++x)
                if ((glyph[static_cast<std::size_t>(y / scale)] >> (7 - x / scale) & 1) != 0)
                    frame.row(top + y)[left + x] = colour;
        left += Font::width * scale;
    }
    return font.height() * scale;
}

/// Breaks at spaces; what is no plain character becomes '?'.
std::vector<std::string> lines_of(const std::string& text, std::size_t longest) {
    std::vector<std::string> lines(1);
    std::string word;
    for (const char c : text + ' ') {
        if (c != ' ') {
            word += c >= ' ' && c <= '~' ? c : '?';
            continue;
        }
        if (!lines.back().empty() && lines.back().size() + 1 + word.size() > longest)
            lines.emplace_back();
        lines.back() += (lines.back().empty() ? "" : " ") + word.substr(0, longest);
        word.clear();
    }
    return lines;
}

} // namespace

void draw_notice(Frame& frame, const Font& font, const HostNotice& notice) {
    frame.resize(width, height);
    std::fill(frame.pixels.begin(), frame.pixels.end(), ground);
    constexpr std::size_t columns = (width - 2 * margin) / Font::width;
    int top = 88;
    top += draw_text(frame, font, notice.name.substr(0, columns / 3), top, 3, bright) + 16;
    std::fill_n(frame.row(top) + margin, width - 2 * margin, line_colour);
    top += 20;
    top += draw_text(frame, font, notice.state.substr(0, columns / 2), top, 2, bright) + 24;
    for (const std::string& line : lines_of(notice.event.substr(0, 400), columns))
        top += draw_text(frame, font, line, top, 1, dim) + 4;
}

} // namespace lom::kvms
