#include "kvms/screen/keys.h"

#include <xkbcommon/xkbcommon.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <string_view>

namespace lom::kvms {

namespace {

constexpr std::size_t most_strokes = 256;

struct NamedKey {
    std::string_view name;
    std::uint32_t keysym;
    std::uint32_t code; ///< XT; 0x80 stands for the prefix 0xe0
};

constexpr NamedKey named_keys[] = {
    {"ctrl", 0xffe3, 0x1d},     {"control", 0xffe3, 0x1d},    {"shift", 0xffe1, 0x2a},
    {"alt", 0xffe9, 0x38},      {"altgr", 0xfe03, 0xb8},      {"super", 0xffeb, 0xdb},
    {"win", 0xffeb, 0xdb},      {"menu", 0xff67, 0xdd},       {"esc", 0xff1b, 0x01},
    {"escape", 0xff1b, 0x01},   {"tab", 0xff09, 0x0f},        {"enter", 0xff0d, 0x1c},
    {"return", 0xff0d, 0x1c},   {"space", 0x20, 0x39},        {"backspace", 0xff08, 0x0e},
    {"delete", 0xffff, 0xd3},   {"del", 0xffff, 0xd3},        {"insert", 0xff63, 0xd2},
    {"home", 0xff50, 0xc7},     {"end", 0xff57, 0xcf},        {"pageup", 0xff55, 0xc9},
    {"pagedown", 0xff56, 0xd1}, {"up", 0xff52, 0xc8},         {"down", 0xff54, 0xd0},
    {"left", 0xff51, 0xcb},     {"right", 0xff53, 0xcd},      {"capslock", 0xffe5, 0x3a},
    {"numlock", 0xff7f, 0x45},  {"scrolllock", 0xff14, 0x46}, {"pause", 0xff13, 0xc6},
    {"sysrq", 0xff15, 0x54},    {"print", 0xff61, 0xb7},
};

constexpr std::string_view plain = "1234567890qwertyuiopasdfghjklzxcvbnm";
constexpr std::uint32_t plain_codes[] = {2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 16, 17,
                                         18, 19, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33,
                                         34, 35, 36, 37, 38, 44, 45, 46, 47, 48, 49, 50};
static_assert(std::size(plain_codes) == plain.size());

std::optional<Stroke> function_key(std::string_view name) {
    constexpr std::uint32_t f1_keysym = 0xffbe;
    if (name.size() < 2 || name.size() > 3 || name[0] != 'f')
        return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : name.substr(1)) {
        if (c < '0' || c > '9')
            return std::nullopt;
        number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
    if (number < 1 || number > 12)
        return std::nullopt;
    const std::uint32_t code = number <= 10 ? 0x3a + number : 0x4c + number;
    return Stroke{f1_keysym + number - 1, code, true};
}

std::optional<Stroke> key_named(std::string_view name) {
    for (const NamedKey& key : named_keys)
        if (key.name == name)
            return Stroke{key.keysym, key.code, true};
    if (name.size() == 1)
        if (const std::size_t at = plain.find(name[0]); at != std::string_view::npos)
            return Stroke{static_cast<std::uint32_t>(name[0]), plain_codes[at], true};
    return function_key(name);
}

Result<void> add_combination(std::string_view names, std::vector<Stroke>& strokes) {
    std::vector<Stroke> held;
    while (!names.empty()) {
        const std::size_t dash = std::min(names.find_first_of("-+"), names.size());
        const auto key = key_named(names.substr(0, dash));
        if (!key)
            return Fault{FaultKind::invalid_value,
                         "There is no key '" + std::string(names.substr(0, dash)) +
                             "'. Keys are ctrl, shift, alt, altgr, super, f1 to f12, enter, esc, "
                             "tab, space, backspace, delete, insert, home, end, pageup, pagedown, "
                             "up, down, left, right, sysrq, print, pause, letters and digits."};
        held.push_back(*key);
        names.remove_prefix(std::min(dash + 1, names.size()));
    }
    strokes.insert(strokes.end(), held.begin(), held.end());
    for (auto key = held.rbegin(); key != held.rend(); ++key) {
        strokes.push_back(*key);
        strokes.back().down = false;
    }
    return {};
}

// -- layouts

struct Deleter {
    void operator()(xkb_context* context) const { xkb_context_unref(context); }
    void operator()(xkb_keymap* keymap) const { xkb_keymap_unref(keymap); }
};

/// Keys of the main block: their evdev number, which is the XT scan code there.
constexpr bool types_characters(std::uint32_t code) {
    return (code >= 2 && code <= 13) || (code >= 16 && code <= 27) || (code >= 30 && code <= 41) ||
           (code >= 43 && code <= 53) || code == 57 || code == 86;
}

void add_level(xkb_keymap* keymap, std::uint32_t code, xkb_level_index_t level, Layout& layout) {
    constexpr std::uint32_t x_offset = 8;
    const xkb_keysym_t* symbols = nullptr;
    xkb_mod_mask_t masks[16];
    const xkb_keycode_t key = code + x_offset;
    const std::size_t count =
        xkb_keymap_key_get_mods_for_level(keymap, key, 0, level, masks, std::size(masks));
    if (xkb_keymap_key_get_syms_by_level(keymap, key, 0, level, &symbols) != 1)
        return;
    const std::uint32_t character = xkb_keysym_to_utf32(symbols[0]);
    const xkb_mod_mask_t shift = 1U << xkb_keymap_mod_get_index(keymap, XKB_MOD_NAME_SHIFT);
    const xkb_mod_mask_t third = 1U << xkb_keymap_mod_get_index(keymap, "Mod5");
    for (std::size_t i = 0; i < count; ++i)
        if (character >= ' ' && (masks[i] & ~(shift | third)) == 0) {
            layout.try_emplace(static_cast<char32_t>(character),
                               LayoutKey{code, (masks[i] & shift) != 0, (masks[i] & third) != 0});
            return;
        }
}

} // namespace

Result<std::vector<Stroke>> strokes_of(const std::string& names) {
    std::string lower;
    for (const char c : names)
        lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::vector<Stroke> strokes;
    std::string_view rest = lower;
    while (!rest.empty()) {
        const std::size_t space = std::min(rest.find(' '), rest.size());
        if (const auto added = add_combination(rest.substr(0, space), strokes); !added)
            return added.fault();
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    if (strokes.empty() || strokes.size() > most_strokes)
        return Fault{FaultKind::invalid_value, "Give one to 128 keys, as in 'ctrl-alt-delete'."};
    return strokes;
}

Result<Layout> load_layout(const std::string& name) {
    const Fault unknown{FaultKind::invalid_value,
                        "There is no keyboard layout '" + name +
                            "'; use X's names, as in us, gb, de, fr, es(nodeadkeys)."};
    const bool clean =
        !name.empty() && name.size() <= 40 && std::all_of(name.begin(), name.end(), [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '(' || c == ')' ||
                   c == '_' || c == '-';
        });
    if (!clean)
        return unknown;
    const std::unique_ptr<xkb_context, Deleter> context(
        xkb_context_new(XKB_CONTEXT_NO_ENVIRONMENT_NAMES));
    if (!context)
        return unknown;
    xkb_context_set_log_level(context.get(), XKB_LOG_LEVEL_CRITICAL);
    const std::size_t open = std::min(name.find('('), name.size());
    const std::string layout_name = name.substr(0, open);
    std::string variant = name.substr(std::min(open + 1, name.size()));
    if (!variant.empty() && variant.back() == ')')
        variant.pop_back();
    const xkb_rule_names names{"evdev", "pc105", layout_name.c_str(), variant.c_str(), ""};
    const std::unique_ptr<xkb_keymap, Deleter> keymap(
        xkb_keymap_new_from_names(context.get(), &names, XKB_KEYMAP_COMPILE_NO_FLAGS));
    if (!keymap)
        return unknown;
    Layout layout{{U'\n', {0x1c, false, false}}, {U'\t', {0x0f, false, false}}};
    // Plain keys first: what needs fewer keys held is typed that way.
    for (xkb_level_index_t level = 0; level < 4; ++level)
        for (std::uint32_t code = 2; code <= 86; ++code)
            if (types_characters(code))
                add_level(keymap.get(), code, level, layout);
    return layout;
}

} // namespace lom::kvms
