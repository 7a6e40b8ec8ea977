// The fonts that a machine's firmware draws its text with, read from the files that QEMU itself
// loads: to write on the SP's own pictures, and to read what a text screen says. Any thread;
// from_uefi takes some 50 ms.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

class Font {
  public:
    static constexpr int width = 8;
    static constexpr int tallest = 19;
    /// A byte a row, the leftmost dot highest; rows below the font's height are empty.
    using Glyph = std::array<std::uint8_t, tallest>;
    struct Character {
        char32_t code;
        Glyph dots;
    };

    /// Finds a font of 16, 14 or 8 rows inside a program by the shape of its letters: text modes
    /// have that of the video BIOS, and Linux draws its own like that inside QEMU.
    static Result<Font> of_vga(std::string_view program, int height);
    /// Finds the font of the graphics console inside EDK2's firmware (OVMF): 19 rows.
    static Result<Font> from_uefi(std::string_view firmware);
    /// No character at all: pictures without words, screens that cannot be read.
    Font() = default;

    int height() const { return height_; }
    /// Of two characters that look the same, the plainer one comes first.
    const std::vector<Character>& characters() const { return characters_; }
    /// Empty for what the font has not.
    const Glyph& glyph(char32_t code) const;

  private:
    int height_ = 16;
    std::vector<Character> characters_;
};

std::string utf8_of(char32_t code);

} // namespace lom::kvms
