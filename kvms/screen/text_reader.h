// Reads the characters off a text screen by the shapes of the firmware's fonts: text modes of any
// size, UEFI's console and Linux's frame buffer console alike, from the picture alone. Standard
// library only; any thread.
#pragma once

#include "kvms/screen/font.h"
#include "kvms/screen/frame.h"

#include <optional>
#include <string>
#include <vector>

namespace lom::kvms {

struct PictureText {
    int columns = 0;
    int rows = 0;
    std::string text;   ///< UTF-8 lines without trailing spaces; U+FFFD for shapes that are unknown
    bool exact = false; ///< every shape is one of the font's: no other font can fit better
};

/// Nothing when the picture does not consist of characters of one of the fonts.
std::optional<PictureText> read_text(const Frame& frame, const std::vector<Font>& fonts);

} // namespace lom::kvms
