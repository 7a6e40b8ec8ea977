#include "kvms/screen/font.h"

#include "kvms/screen/lzma.h"

#include <algorithm>

namespace lom::kvms {

namespace {

// Code page 437, 0x00 to 0x1f and 0x7f to 0xff.
constexpr std::u32string_view low = U" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
constexpr std::u32string_view high =
    U"⌂ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    U"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";
static_assert(low.size() == 0x20 && high.size() == 0x81);

char32_t unicode_of_437(unsigned code) {
    if (code < low.size())
        return low[code];
    return code < 0x7f ? code : high[code - 0x7fU];
}

/// The letter A as all fonts that descend from IBM's VGA draw it.
std::string_view letter_a(int height) {
    using namespace std::string_view_literals;
    switch (height) {
    case 16:
        return "\0\0\x10\x38\x6c\xc6\xc6\xfe\xc6\xc6\xc6\xc6\0\0\0\0"sv;
    case 14:
        return "\0\0\x10\x38\x6c\xc6\xc6\xfe\xc6\xc6\xc6\0\0\0"sv;
    case 8:
        return "\x30\x78\xcc\xcc\xfc\xcc\xcc\0"sv;
    default:
        return {};
    }
}

/// Letters first, then what a machine prints besides, then IBM's pictures.
std::vector<unsigned> by_likelihood() {
    std::vector<unsigned> codes;
    for (unsigned code = 0x20; code < 0x100; ++code)
        codes.push_back(code);
    for (unsigned code = 1; code < 0x20; ++code)
        codes.push_back(code);
    return codes;
}

// EFI_NARROW_GLYPH: the character in UTF-16, attributes, 19 rows. A list of them ends with zeros.
constexpr std::size_t glyph_size = 2 + 1 + Font::tallest;
constexpr std::size_t most_glyphs = 1024;
constexpr std::size_t from_a_to_space = ('A' - ' ') * glyph_size;

char32_t code_at(std::string_view glyphs) {
    return static_cast<unsigned char>(glyphs[0]) | static_cast<unsigned char>(glyphs[1]) << 8U;
}

/// Where the list begins in what was unpacked since `from`; npos: not yet.
std::size_t find_glyphs(std::string_view unpacked, std::size_t from) {
    constexpr std::string_view a("A\0\0", 3);
    for (std::size_t at = std::max(from, from_a_to_space);
         (at = unpacked.find(a, at)) != std::string_view::npos; ++at) {
        const std::size_t begin = at - from_a_to_space;
        if (unpacked.size() < at + glyph_size + 2)
            break;
        if (code_at(unpacked.substr(begin)) == ' ' &&
            code_at(unpacked.substr(begin + glyph_size)) == '!' &&
            code_at(unpacked.substr(at + glyph_size)) == 'B')
            return begin;
    }
    return std::string_view::npos;
}

/// The list of glyphs, if this packed part of the firmware has one.
std::string unpack_glyphs(std::string_view packed) {
    constexpr std::size_t step = 1U << 20U;
    constexpr std::size_t longest = 64U << 20U;
    Lzma lzma(packed);
    std::string unpacked;
    std::size_t begin = std::string::npos;
    std::size_t searched = 0;
    while (unpacked.size() < longest && lzma.unpack(unpacked, step)) {
        if (begin != std::string::npos)
            break; // and with that, all of it is here
        begin = find_glyphs(unpacked, searched);
        searched = unpacked.size() - std::min(unpacked.size(), 2 * glyph_size);
    }
    return begin == std::string::npos ? std::string()
                                      : unpacked.substr(begin, most_glyphs * glyph_size);
}

} // namespace

Result<Font> Font::of_vga(std::string_view program, int height) {
    const std::string_view pattern = letter_a(height);
    const auto rows = static_cast<std::size_t>(height);
    const std::size_t before = 'A' * rows;
    const std::size_t at = pattern.empty() ? std::string_view::npos : program.find(pattern);
    if (at == std::string_view::npos || at < before || program.size() - (at - before) < 256 * rows)
        return Fault{FaultKind::unavailable,
                     "There is no font of " + std::to_string(height) + " rows that is known."};
    Font font;
    font.height_ = height;
    for (const unsigned code : by_likelihood()) {
        Character character{unicode_of_437(code), {}};
        std::copy_n(program.begin() + static_cast<std::ptrdiff_t>(at - before + code * rows), rows,
                    character.dots.begin());
        font.characters_.push_back(character);
    }
    return font;
}

Result<Font> Font::from_uefi(std::string_view firmware) {
    // GUID of a section that is packed with LZMA; the length of its header follows.
    using namespace std::string_view_literals;
    constexpr auto packed = "\x98\x58\x4e\xee\x14\x39\x59\x42\x9d\x6e\xdc\x7b\xd7\x94\x03\xcf"sv;
    constexpr std::size_t before = 4; // the section's own length and kind
    for (std::size_t at = before; (at = firmware.find(packed, at)) != std::string_view::npos;
         ++at) {
        const std::string_view rest = firmware.substr(at - before);
        if (rest.size() < before + packed.size() + 2)
            break;
        const std::size_t header = code_at(rest.substr(before + packed.size()));
        if (header >= rest.size())
            continue;
        const std::string list = unpack_glyphs(rest.substr(header));
        Font font;
        font.height_ = tallest;
        for (std::string_view left = list; left.size() >= glyph_size && code_at(left) != 0;
             left.remove_prefix(glyph_size)) {
            Character character{code_at(left), {}};
            std::copy_n(left.begin() + 3, tallest, character.dots.begin());
            font.characters_.push_back(character);
        }
        if (!font.characters_.empty())
            return font;
    }
    return Fault{FaultKind::unavailable, "The UEFI firmware has no font that is known."};
}

const Font::Glyph& Font::glyph(char32_t code) const {
    static constexpr Glyph empty{};
    const auto found = std::find_if(characters_.begin(), characters_.end(),
                                    [code](const Character& c) { return c.code == code; });
    return found == characters_.end() ? empty : found->dots;
}

std::string utf8_of(char32_t code) {
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

} // namespace lom::kvms
