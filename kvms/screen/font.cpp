#include "kvms/screen/font.h"

#include <algorithm>
#include <string_view>

namespace lom::kvms {

namespace {

// The letter A as all fonts that descend from IBM's VGA draw it.
constexpr Font::Glyph letter_a = {0,    0,    0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe,
                                  0xc6, 0xc6, 0xc6, 0xc6, 0,    0,    0,    0};

// Code page 437, 0x00 to 0x1f and 0x7f to 0xff.
constexpr std::u32string_view low = U" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
constexpr std::u32string_view high =
    U"⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    U"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";
static_assert(low.size() == 0x20 && high.size() == 0x81);

std::string utf8(char32_t code) {
    std::string out;
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0U | code >> 6U);
        out += static_cast<char>(0x80U | (code & 0x3fU));
    } else {
        out += static_cast<char>(0xe0U | code >> 12U);
        out += static_cast<char>(0x80U | (code >> 6U & 0x3fU));
        out += static_cast<char>(0x80U | (code & 0x3fU));
    }
    return out;
}

} // namespace

Result<Font> Font::from_video_bios(const std::string& bios) {
    const std::string_view pattern(reinterpret_cast<const char*>(letter_a.data()), letter_a.size());
    constexpr std::size_t before = std::size_t{'A'} * height;
    const std::size_t at = bios.find(pattern);
    if (at == std::string::npos || at < before || bios.size() - (at - before) < 256 * height)
        return Fault{FaultKind::unavailable, "The video BIOS has no font that is known."};
    Font font;
    for (std::size_t code = 0; code < 256; ++code)
        for (std::size_t row = 0; row < height; ++row)
            font.glyphs_[code][row] =
                static_cast<std::uint8_t>(bios[at - before + code * height + row]);
    return font;
}

std::string utf8_of_437(unsigned char code) {
    if (code < low.size())
        return utf8(low[code]);
    return code < 0x7f ? std::string(1, static_cast<char>(code)) : utf8(high[code - 0x7fU]);
}

} // namespace lom::kvms
