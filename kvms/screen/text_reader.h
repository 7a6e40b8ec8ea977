// Reads the characters off a text screen by the shapes of the video BIOS's font: text modes and
// frame buffer consoles alike, from the picture alone. Standard library only; any thread.
#pragma once

#include "kvms/screen/font.h"
#include "kvms/screen/frame.h"

#include <optional>
#include <string>

namespace lom::kvms {

struct PictureText {
    int columns = 0;
    int rows = 0;
    std::string text; ///< UTF-8 lines without trailing spaces; U+FFFD for shapes that are unknown
};

/// Nothing when the picture does not consist of characters.
std::optional<PictureText> read_text(const Frame& frame, const Font& font);

} // namespace lom::kvms
