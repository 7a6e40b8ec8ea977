// A picture: what the host shows, or the SP's own. Standard library only; any thread, one owner.
#pragma once

#include <cstdint>
#include <vector>

namespace lom::kvms {

struct Rect {
    int x = 0;
    int y = 0;
    int width = 0;
    int height = 0;
};

struct Frame {
    static constexpr int longest_side = 8192;
    static constexpr int most_pixels = 4096 * 4096;

    int width = 0;
    int height = 0;
    std::vector<std::uint32_t> pixels; ///< 0x00RRGGBB, rows without gaps

    static bool allows(int width, int height) {
        return width > 0 && height > 0 && width <= longest_side && height <= longest_side &&
               width <= most_pixels / height;
    }
    void resize(int new_width, int new_height) {
        width = new_width;
        height = new_height;
        pixels.assign(static_cast<std::size_t>(width) * static_cast<std::size_t>(height), 0);
    }
    std::uint32_t* row(int y) {
        return pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
    }
    const std::uint32_t* row(int y) const {
        return pixels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
    }
    bool contains(const Rect& rect) const {
        return rect.x >= 0 && rect.y >= 0 && rect.width >= 0 && rect.height >= 0 &&
               rect.x <= width - rect.width && rect.y <= height - rect.height;
    }
};

struct Cursor {
    int width = 0; ///< 0: none
    int height = 0;
    int hot_x = 0;
    int hot_y = 0;
    std::vector<std::uint32_t> pixels;
    std::vector<std::uint8_t> mask; ///< one bit a pixel, rows padded to bytes
};

} // namespace lom::kvms
