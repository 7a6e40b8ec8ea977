#include "shell/text.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

namespace lom::shell {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

unsigned char byte_at(std::string_view text, std::size_t position) {
    return static_cast<unsigned char>(text[position]);
}

// Length of the well-formed UTF-8 character at `position`; 0 where there is none.
std::size_t character_length(std::string_view text, std::size_t position) {
    const unsigned char first = byte_at(text, position);
    if (first < 0x80)
        return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || position + length > text.size())
        return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte_at(text, position + i) & 0xc0U) != 0x80)
            return 0;
    const unsigned char second = byte_at(text, position + 1);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool outside = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || outside ? 0 : length;
}

// C0, DEL and the C1 controls, which a terminal obeys in their UTF-8 form too.
bool is_control(std::string_view character) {
    const unsigned char first = byte_at(character, 0);
    return first < 0x20 || first == 0x7f || (first == 0xc2 && byte_at(character, 1) < 0xa0);
}

std::string hex_escape(std::string_view bytes) {
    std::string result;
    for (const char byte : bytes) {
        char buffer[8];
        std::snprintf(buffer, sizeof(buffer), "\\x%02x", static_cast<unsigned char>(byte));
        result += buffer;
    }
    return result;
}

// Letters wrong, missing, too many, or two of them in the wrong order.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    const auto same = [&](std::size_t i, std::size_t j) { return lower(a[i]) == lower(b[j]); };
    std::vector<std::size_t> before(b.size() + 1); // the rows of a's last letter but two, but one
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(above.begin(), above.end(), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            row[j + 1] = std::min({above[j + 1] + 1, row[j] + 1, above[j] + (same(i, j) ? 0 : 1)});
            if (i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j))
                row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[b.size()];
}

} // namespace

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && starts_with_name(a, b);
}

bool starts_with_name(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() &&
           std::equal(prefix.begin(), prefix.end(), text.begin(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

bool matches_pattern(std::string_view text, std::string_view pattern) {
    // Greedy with one point of return: linear in practice, never exponential.
    std::size_t t = 0;
    std::size_t p = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_text = t;
        } else if (p < pattern.size() && lower(pattern[p]) == lower(text[t])) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++star_text;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string printable(std::string_view text) {
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = character_length(text, i);
        const std::string_view character = text.substr(i, std::max<std::size_t>(length, 1));
        if (length == 0 || (is_control(character) && character != "\n"))
            result += hex_escape(character);
        else
            result += character;
        i += character.size();
    }
    return result;
}

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0U) != 0x80;
    }));
}

std::string padded(std::string_view text, std::size_t width) {
    std::string result(text);
    const std::size_t used = columns(text);
    if (used < width)
        result.append(width - used, ' ');
    return result;
}

std::vector<std::string> folded(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    while (true) {
        const std::size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        while (width > 0 && columns(line) > width) {
            // Bytes are at least columns, so searching bytes never folds too late for ASCII; a line
            // of wider characters folds a little early.
            std::size_t space = line.rfind(' ', width);
            if (space == std::string_view::npos || space == 0)
                space = line.find(' ', width);
            if (space == std::string_view::npos)
                break;
            lines.emplace_back(line.substr(0, space));
            line.remove_prefix(space + 1);
        }
        lines.emplace_back(line);
        if (newline == std::string_view::npos)
            return lines;
        text.remove_prefix(newline + 1);
    }
}

std::string clipped(const std::string& line, std::size_t width) {
    if (width <= 4 || columns(line) <= width)
        return line;
    return folded(line, width - 4).front() + " ...";
}

std::string json_string(std::string_view text) {
    std::string result = "\"";
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = character_length(text, i);
        if (length == 0) {
            result += "\\ufffd";
        } else if (text[i] == '"' || text[i] == '\\') {
            result += {'\\', text[i]};
        } else if (text[i] == '\n') {
            result += "\\n";
        } else if (byte_at(text, i) < 0x20 || byte_at(text, i) == 0x7f) {
            char buffer[8];
            std::snprintf(buffer, sizeof(buffer), "\\u%04x", byte_at(text, i));
            result += buffer;
        } else {
            result += text.substr(i, length);
        }
        i += std::max<std::size_t>(length, 1);
    }
    return result + "\"";
}

std::string message_text(std::string_view message, std::string_view line_end) {
    std::string text;
    for (std::size_t i = 0; i < message.size(); ++i) {
        const std::string_view rest = message.substr(i);
        const std::size_t typed = rest.starts_with("\\r\\n") ? 4 : rest.starts_with("\\n") ? 2 : 0;
        if (typed == 0) {
            text += message[i];
            continue;
        }
        text += line_end;
        i += typed - 1;
    }
    return text.empty() ? text : text.append(line_end);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
    constexpr std::size_t longest_worth_comparing = 64;
    if (word.empty() || word.size() > longest_worth_comparing)
        return {};
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        if (candidate.size() > longest_worth_comparing)
            continue;
        // A beginning typed in full is nearer than any misspelling.
        const bool beginning = word.size() >= 2 && starts_with_name(candidate, word);
        const std::size_t distance = beginning ? 0 : edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const std::string meant = nearest(word, candidates);
    return meant.empty() ? meant : "Did you mean '" + meant + "'?";
}

} // namespace lom::shell
