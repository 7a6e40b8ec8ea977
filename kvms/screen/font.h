// The fonts that a machine's firmware draws its text with, read from the files that QEMU itself
// loads: to write on the SP's own pictures, and to read what a text screen says. Any thread;
// from_uefi takes some 50 ms.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
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

/// What screens are read with. Those of graphics modes are looked for when they are wanted.
class Fonts {
  public:
    Fonts(std::vector<Font> text_modes, std::function<std::vector<Font>()> find_others)
        : text_modes_(std::move(text_modes)), find_others_(std::move(find_others)) {
        if (text_modes_.empty())
            text_modes_.emplace_back();
    }
    /// To write with.
    const Font& first() const { return text_modes_.front(); }
    const std::vector<Font>& text_modes() const { return text_modes_; }
    const std::vector<Font>& all() {
        if (const auto find = std::exchange(find_others_, nullptr)) {
            all_ = text_modes_;
            for (Font& font : find())
                all_.push_back(std::move(font));
        }
        return all_;
    }

  private:
    std::vector<Font> text_modes_;
    std::vector<Font> all_;
    std::function<std::vector<Font>()> find_others_;
};

std::string utf8_of(char32_t code);

} // namespace lom::kvms
