#include "kvms/screen/text_reader.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace lom::kvms {

namespace {

constexpr int least_columns = 40;
constexpr int least_rows = 10;
constexpr char32_t unknown = 0xfffd;

struct ShapeHash {
    std::size_t operator()(const Font::Glyph& shape) const {
        return std::hash<std::string_view>{}(
            {reinterpret_cast<const char*>(shape.data()), shape.size()});
    }
};
using Shapes = std::unordered_map<Font::Glyph, char32_t, ShapeHash>;

Font::Glyph inverse_of(Font::Glyph shape, int height) {
    for (int row = 0; row < height; ++row)
        shape[static_cast<std::size_t>(row)] ^= 0xffU;
    return shape;
}

/// The font's characters as ink on ground and the other way round.
Shapes shapes_of(const Font& font) {
    Shapes shapes;
    for (const Font::Character& character : font.characters())
        shapes.try_emplace(character.dots, character.code);
    for (const Font::Character& character : font.characters())
        shapes.try_emplace(inverse_of(character.dots, font.height()), character.code);
    return shapes;
}

// -- where the characters may be

struct Grid {
    int cell_width = Font::width;
    int dot_width = 1; ///< 2 where a text mode of 40 columns is shown
    int left = 0;
    int top = 0;
    int columns = 0;
    int rows = 0;

    bool has_size() const { return columns >= least_columns && rows >= least_rows; }
};

/// Text modes have eight or nine dots a character, frame buffers eight.
std::vector<Grid> vga_grids(const Frame& frame, int height) {
    std::vector<Grid> grids;
    const int rows = frame.height / height;
    if (frame.width % 9 == 0)
        grids.push_back({9, 1, 0, 0, frame.width / 9, rows});
    grids.push_back({8, 1, 0, 0, frame.width / 8, rows});
    grids.push_back({16, 2, 0, 0, frame.width / 16, rows});
    return grids;
}

/// What differs from the corner's colour.
Rect painted(const Frame& frame) {
    const std::uint32_t ground = frame.pixels.front();
    int left = frame.width;
    int right = 0;
    int top = frame.height;
    int bottom = 0;
    for (int y = 0; y < frame.height; ++y) {
        const std::uint32_t* row = frame.row(y);
        const auto differs = [ground](std::uint32_t dot) { return dot != ground; };
        const std::uint32_t* first = std::find_if(row, row + frame.width, differs);
        if (first == row + frame.width)
            continue;
        const auto last = std::find_if(std::make_reverse_iterator(row + frame.width),
                                       std::make_reverse_iterator(first), differs);
        left = std::min(left, static_cast<int>(first - row));
        right = std::max(right, static_cast<int>(last.base() - row));
        top = std::min(top, y);
        bottom = y + 1;
    }
    return {left, top, std::max(0, right - left), std::max(0, bottom - top)};
}

/// UEFI's console has one of a few sizes, in the middle of the picture: the smallest that fits.
std::vector<Grid> uefi_grids(const Frame& frame, int height) {
    const Rect ink = painted(frame);
    std::vector<Grid> grids;
    const auto add = [&](int columns, int rows) {
        const Grid grid{Font::width,
                        1,
                        (frame.width - columns * Font::width) / 2,
                        (frame.height - rows * height) / 2,
                        columns,
                        rows};
        if (grid.left >= 0 && grid.top >= 0 && grid.left <= ink.x && grid.top <= ink.y &&
            ink.x + ink.width <= grid.left + columns * Font::width &&
            ink.y + ink.height <= grid.top + rows * height)
            grids.push_back(grid);
    };
    for (const auto& [columns, rows] : {std::pair{80, 25}, {80, 50}, {100, 31}})
        add(columns, rows);
    add(frame.width / Font::width, frame.height / height);
    return grids;
}

std::vector<Grid> grids_of(const Frame& frame, const Font& font) {
    auto grids = font.height() == Font::tallest ? uefi_grids(frame, font.height())
                                                : vga_grids(frame, font.height());
    std::erase_if(grids, [](const Grid& grid) { return !grid.has_size(); });
    return grids;
}

// -- the characters

struct Cell {
    Font::Glyph shape{}; ///< of the first colour that is not the top left dot's
    bool text = true;    ///< two colours at most
    bool blank = true;
};

Cell cell_at(const Frame& frame, const Grid& grid, int height, int column, int row) {
    Cell cell;
    const int left = grid.left + column * grid.cell_width;
    const int top = grid.top + row * height;
    const std::uint32_t ground = frame.row(top)[left];
    std::uint32_t ink = ground;
    for (int y = 0; y < height; ++y) {
        const std::uint32_t* dots = frame.row(top + y) + left;
        unsigned bits = 0;
        for (int x = 0; x < Font::width; ++x) {
            const std::uint32_t dot = dots[x * grid.dot_width];
            bits <<= 1U;
            if (dot == ground)
                continue;
            if (ink == ground)
                ink = dot;
            cell.text = cell.text && dot == ink;
            bits |= 1U;
        }
        cell.shape[static_cast<std::size_t>(y)] = static_cast<std::uint8_t>(bits);
    }
    cell.blank = ink == ground;
    return cell;
}

struct Match {
    int inked = 0;
    int read = 0;
    /// A picture happens to match here and there; a text does nearly everywhere.
    bool good(int percent) const { return read * 100 >= inked * percent; }
    double share() const { return inked == 0 ? 1 : static_cast<double>(read) / inked; }
};

Match match(const Frame& frame, const Grid& grid, int height, const Shapes& shapes) {
    Match result;
    for (int row = 0; row < grid.rows; ++row)
        for (int column = 0; column < grid.columns; ++column) {
            const Cell cell = cell_at(frame, grid, height, column, row);
            if (cell.blank)
                continue;
            ++result.inked;
            if (cell.text && shapes.contains(cell.shape))
                ++result.read;
        }
    return result;
}

int difference(const Font::Glyph& a, const Font::Glyph& b, int rows) {
    int count = 0;
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
        count += std::popcount(static_cast<unsigned>(a[row] ^ b[row]));
    return count;
}

char32_t nearest(const Font::Glyph& shape, const Font& font, int rows, int allowed) {
    char32_t best = unknown;
    for (const Font::Character& character : font.characters()) {
        const int wrong = difference(shape, character.dots, rows);
        if (wrong > allowed)
            continue;
        best = character.code;
        allowed = wrong - 1;
    }
    return best;
}

/// A shape that is none of the font's: the cursor may underline it, and another font of the family
/// may draw it a little differently.
char32_t guess(const Font::Glyph& shape, const Font& font) {
    const int height = font.height();
    const int above_cursor = height * 13 / 16;
    const int most_wrong_dots = height * 6 / 16;
    for (const auto& [rows, allowed] : {std::pair{above_cursor, 0}, {height, most_wrong_dots}})
        for (const Font::Glyph& candidate : {shape, inverse_of(shape, height)})
            if (const char32_t code = nearest(candidate, font, rows, allowed); code != unknown)
                return code;
    return unknown;
}

std::optional<PictureText> read_grid(const Frame& frame, const Grid& grid, const Font& font,
                                     Shapes shapes) {
    PictureText result{grid.columns, grid.rows, {}, false};
    Match found;
    for (int row = 0; row < grid.rows; ++row) {
        std::string line;
        for (int column = 0; column < grid.columns; ++column) {
            const Cell cell = cell_at(frame, grid, font.height(), column, row);
            char32_t code = ' ';
            if (!cell.blank) {
                const auto [known, fresh] = shapes.try_emplace(cell.shape, unknown);
                if (fresh && cell.text)
                    known->second = guess(cell.shape, font);
                code = cell.text ? known->second : unknown;
                ++found.inked;
                found.read += code != unknown ? 1 : 0;
            }
            line += utf8_of(code);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        result.text += line + '\n';
    }
    if (!found.good(90))
        return std::nullopt;
    result.text.erase(result.text.find_last_not_of('\n') + 1);
    result.text += '\n';
    return result;
}

} // namespace

std::optional<PictureText> read_text(const Frame& frame, const std::vector<Font>& fonts) {
    struct Best {
        const Font* font = nullptr;
        Grid grid;
        Shapes shapes;
        Match match;
    };
    std::optional<Best> best;
    for (const Font& font : fonts) {
        const Shapes shapes = shapes_of(font);
        for (const Grid& grid : grids_of(frame, font)) {
            const Match found = match(frame, grid, font.height(), shapes);
            if (found.good(50) && (!best || found.share() > best->match.share()))
                best = {&font, grid, shapes, found};
            if (found.good(100)) {
                auto text = read_grid(frame, grid, font, shapes);
                text->exact = true;
                return text;
            }
        }
    }
    return best ? read_grid(frame, best->grid, *best->font, std::move(best->shapes)) : std::nullopt;
}

} // namespace lom::kvms
