#include "kvms/screen/text_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

namespace lom::kvms {

namespace {

constexpr int most_wrong_dots = 6; // between two fonts' shapes of one character
constexpr int unknown = -1;

struct Cell {
    Font::Glyph shape{}; ///< of the first colour that is not the top left dot's
    bool text = true;    ///< two colours at most
    bool blank = true;
};

struct Grid {
    int cell_width;
    int columns;
    int rows;
};

/// A text mode has nine dots a character, everything else eight; rows have sixteen.
std::optional<Grid> grid_of(const Frame& frame) {
    const int width = frame.width == 720 || frame.width == 1188 ? 9 : 8;
    const Grid grid{width, frame.width / width, frame.height / Font::height};
    if (grid.columns < 40 || grid.rows < 10)
        return std::nullopt;
    return grid;
}

Cell cell_at(const Frame& frame, const Grid& grid, int column, int row) {
    Cell cell;
    const std::uint32_t ground = frame.row(row * Font::height)[column * grid.cell_width];
    std::optional<std::uint32_t> ink;
    for (int y = 0; y < Font::height; ++y) {
        const std::uint32_t* dots = frame.row(row * Font::height + y) + column * grid.cell_width;
        unsigned bits = 0;
        for (int x = 0; x < Font::width; ++x) {
            bits <<= 1U;
            if (dots[x] == ground)
                continue;
            ink = ink.value_or(dots[x]);
            cell.text = cell.text && dots[x] == *ink;
            bits |= 1U;
        }
        cell.shape[static_cast<std::size_t>(y)] = static_cast<std::uint8_t>(bits);
    }
    cell.blank = !ink;
    return cell;
}

int difference(const Font::Glyph& a, const Font::Glyph& b, int rows) {
    int count = 0;
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
        count += std::popcount(static_cast<unsigned>(a[row] ^ b[row]));
    return count;
}

/// Letters first: of two characters that look the same, the plain one.
const std::array<unsigned char, 255>& by_likelihood() {
    static const auto order = [] {
        std::array<unsigned char, 255> codes{};
        std::size_t at = 0;
        for (unsigned code = 0x20; code < 0x7f; ++code)
            codes[at++] = static_cast<unsigned char>(code);
        for (unsigned code = 0x7f; code < 0x100; ++code)
            codes[at++] = static_cast<unsigned char>(code);
        for (unsigned code = 1; code < 0x20; ++code)
            codes[at++] = static_cast<unsigned char>(code);
        return codes;
    }();
    return order;
}

int nearest(const Font::Glyph& shape, const Font& font, int rows, int allowed) {
    int best = unknown;
    for (const unsigned char code : by_likelihood()) {
        const int wrong = difference(shape, font.glyph(code), rows);
        if (wrong <= allowed) {
            best = code;
            allowed = wrong - 1;
        }
    }
    return best;
}

/// The character, either as ink on ground or the other way round; the cursor may underline it.
int recognise(Font::Glyph shape, const Font& font) {
    Font::Glyph inverse = shape;
    for (std::uint8_t& row : inverse)
        row = static_cast<std::uint8_t>(~row);
    constexpr int above_cursor = 13;
    for (const auto& [rows, allowed] :
         {std::pair{Font::height, 0}, {above_cursor, 0}, {Font::height, most_wrong_dots}})
        for (const Font::Glyph& candidate : {shape, inverse})
            if (const int code = nearest(candidate, font, rows, allowed); code != unknown)
                return code;
    return unknown;
}

struct ShapeHash {
    std::size_t operator()(const Font::Glyph& shape) const {
        return std::hash<std::string_view>{}(
            {reinterpret_cast<const char*>(shape.data()), shape.size()});
    }
};

} // namespace

std::optional<PictureText> read_text(const Frame& frame, const Font& font) {
    const auto grid = grid_of(frame);
    if (!grid)
        return std::nullopt;
    PictureText result{grid->columns, grid->rows, {}};
    std::unordered_map<Font::Glyph, int, ShapeHash> seen;
    int inked = 0;
    int read = 0;
    for (int row = 0; row < grid->rows; ++row) {
        std::string line;
        for (int column = 0; column < grid->columns; ++column) {
            const Cell cell = cell_at(frame, *grid, column, row);
            int code = ' ';
            if (!cell.blank) {
                const auto [known, fresh] = seen.try_emplace(cell.shape, unknown);
                if (fresh && cell.text)
                    known->second = recognise(cell.shape, font);
                code = cell.text ? known->second : unknown;
                ++inked;
                read += code != unknown ? 1 : 0;
            }
            line +=
                code == unknown ? "\xef\xbf\xbd" : utf8_of_437(static_cast<unsigned char>(code));
        }
        line.erase(line.find_last_not_of(' ') + 1);
        result.text += line + '\n';
    }
    // A picture happens to match here and there; a text does nearly everywhere.
    if (read * 10 < inked * 9)
        return std::nullopt;
    result.text.erase(result.text.find_last_not_of('\n') + 1);
    result.text += '\n';
    return result;
}

} // namespace lom::kvms
