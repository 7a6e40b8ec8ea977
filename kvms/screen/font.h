// The 8 x 16 font of the machine's video BIOS, read from the file that QEMU itself loads: to write
// on the SP's own pictures, and to read what a text screen says. Standard library only; any thread.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>

namespace lom::kvms {

class Font {
  public:
    static constexpr int width = 8;
    static constexpr int height = 16;
    using Glyph = std::array<std::uint8_t, height>; ///< a byte a row, the leftmost dot highest

    /// Finds the font inside a video BIOS by the shape of its letters.
    static Result<Font> from_video_bios(const std::string& bios);
    /// No glyph at all: pictures without words, screens that cannot be read.
    Font() = default;

    const Glyph& glyph(unsigned char code) const { return glyphs_[code]; }

  private:
    std::array<Glyph, 256> glyphs_{};
};

/// A character of IBM's code page 437 in UTF-8; what has no shape is a space.
std::string utf8_of_437(unsigned char code);

} // namespace lom::kvms
