// lom-kvm's parts that speak to strangers or to QEMU, without sockets.
#include "base/files.h"
#include "kvms/screen/display.h"
#include "kvms/screen/keys.h"
#include "kvms/screen/past.h"
#include "kvms/screen/picture.h"
#include "kvms/screen/png.h"
#include "kvms/screen/rfb.h"
#include "kvms/screen/text_reader.h"
#include "kvms/screen/viewer_protocol.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace lom::kvms {

namespace {

using namespace rfb;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// -- the client towards QEMU

struct DisplayTest : ::testing::Test {
    Frame frame;
    std::string sent;
    int updates = 0;
    std::vector<Rect> changed;
    int leds = -1;
    int cursor_width = -1;
    Display display{frame,
                    {.send = [this](const std::string& bytes) { sent += bytes; },
                     .changing = [] {},
                     .resized = [] {},
                     .updated =
                         [this](const std::vector<Rect>& rects) {
                             ++updates;
                             changed = rects;
                         },
                     .cursor = [this](const Cursor& cursor) { cursor_width = cursor.width; },
                     .leds = [this](int now) { leds = now; }}};

    static std::string greeting(unsigned width, unsigned height) {
        std::string out(version);
        out += std::string("\1\1", 2) + std::string(4, '\0');
        put16(out, width);
        put16(out, height);
        out += std::string(16, '\0');
        put32(out, 4);
        return out + "QEMU";
    }
    static std::string rect(int x, int y, int width, int height, std::int32_t encoding) {
        std::string out;
        for (const int value : {x, y, width, height})
            put16(out, static_cast<unsigned>(value));
        put32(out, static_cast<std::uint32_t>(encoding));
        return out;
    }
    static std::string update(unsigned rects) {
        std::string out(2, '\0');
        put16(out, rects);
        return out;
    }
};

TEST_F(DisplayTest, draws_pixels_where_they_belong) {
    ASSERT_TRUE(display.feed(greeting(4, 2)));
    EXPECT_TRUE(display.ready());
    const std::string pixels("\1\2\3\0\4\5\6\0", 8);
    ASSERT_TRUE(display.feed(update(1) + rect(1, 1, 2, 1, raw) + pixels));
    EXPECT_EQ(updates, 1);
    ASSERT_EQ(changed.size(), 1U);
    EXPECT_THAT(frame.pixels, ElementsAre(0, 0, 0, 0, 0, 0x030201, 0x060504, 0));
}

TEST_F(DisplayTest, takes_bytes_one_by_one) {
    const std::string all = greeting(2, 1) + update(3) + rect(0, 0, 1, 1, qemu_led_state) + "\5" +
                            rect(3, 4, 1, 1, rich_cursor) + std::string(5, '\1') +
                            rect(0, 0, 2, 1, raw) + std::string(8, '\7') + "\2" +
                            std::string("\3\0\0\0\0\0\0\2hi", 10) + update(0);
    for (const char byte : all)
        ASSERT_TRUE(display.feed(std::string_view(&byte, 1)));
    EXPECT_EQ(updates, 2);
    EXPECT_EQ(leds, 5);
    EXPECT_EQ(cursor_width, 1);
}

TEST_F(DisplayTest, follows_a_new_size_within_an_update) {
    ASSERT_TRUE(display.feed(greeting(2, 1) + update(2) + rect(0, 0, 3, 2, desktop_size) +
                             rect(2, 1, 1, 1, raw) + std::string(4, '\1')));
    EXPECT_EQ(frame.width, 3);
    EXPECT_EQ(frame.row(1)[2], 0x01010101U);
}

TEST_F(DisplayTest, refuses_what_does_not_fit) {
    ASSERT_TRUE(display.feed(greeting(4, 2)));
    EXPECT_THAT(display.feed(update(1) + rect(3, 0, 2, 1, raw)).fault().message,
                HasSubstr("outside the picture"));
}

TEST_F(DisplayTest, refuses_a_huge_picture) {
    EXPECT_THAT(display.feed(greeting(65535, 65535)).fault().message, HasSubstr("65535 x 65535"));
    EXPECT_TRUE(frame.pixels.empty());
}

TEST_F(DisplayTest, refuses_a_long_name_and_unknown_encodings) {
    std::string out = greeting(4, 2);
    ASSERT_TRUE(display.feed(out));
    EXPECT_FALSE(display.feed(update(1) + rect(0, 0, 1, 1, tight)));
}

TEST_F(DisplayTest, keys_are_extended_once_qemu_says_so) {
    ASSERT_TRUE(display.feed(greeting(4, 2)));
    sent.clear();
    display.key('a', 0x1e, true);
    EXPECT_EQ(sent.size(), 8U);
    ASSERT_TRUE(display.feed(update(1) + rect(0, 0, 0, 0, qemu_extended_key)));
    sent.clear();
    display.key('a', 0x1e, true);
    EXPECT_EQ(sent, std::string("\xff\0\0\1\0\0\0a\0\0\0\x1e", 12));
}

// -- what the screen showed

struct PastTest : ::testing::Test {
    static constexpr Past::Time start{std::chrono::hours(1)};
    Past past;

    static Past::Time at(int milliseconds) {
        return start + std::chrono::milliseconds(milliseconds);
    }
    /// The picture `colour` was there from then until then; 0: blank.
    void show(std::uint32_t colour, int from, int until, int side = 100) {
        Frame frame;
        frame.resize(side, side);
        frame.pixels.back() = colour;
        past.changing(frame, at(from), at(until));
    }
    std::uint32_t seen(int time) const { return past.at(at(time))->pixels.back(); }
};

TEST_F(PastTest, shows_what_was_there_however_late_it_is_asked) {
    EXPECT_EQ(past.at(start), nullptr);
    show(1, 0, 5000);
    show(2, 5000, 5200);
    show(3, 5200, 6000);
    EXPECT_EQ(seen(4999), 1U);
    EXPECT_EQ(seen(5000), 2U);
    EXPECT_EQ(seen(9000), 3U);
    EXPECT_EQ(seen(-1), 1U) << "the oldest there is";
}

TEST_F(PastTest, prefers_what_was_there_before_the_screen_went_blank) {
    show(1, 0, 1000);
    show(0, 1000, 1200);
    show(2, 1200, 2000);
    EXPECT_EQ(seen(1100), 1U);
    EXPECT_EQ(seen(1300), 2U);
    past.forget();
    show(0, 0, 1000);
    EXPECT_EQ(seen(1100), 0U);
}

TEST_F(PastTest, is_short_for_a_film_but_knows_the_picture_before_it) {
    show(1, 0, 60'000);
    constexpr int large = 1000; // 4 MB
    for (int time = 60'000; time < 62'500; time += 33)
        show(static_cast<std::uint32_t>(time), time, time + 33, large);
    EXPECT_EQ(seen(59'000), 1U);
    EXPECT_NEAR(seen(62'000), 62'000, 1533);
}

TEST_F(PastTest, ends) {
    for (int time = 0; time < 60'000; time += 5'000)
        show(static_cast<std::uint32_t>(time + 1), time, time + 5'000);
    EXPECT_EQ(seen(0), 40'001U);
}

// -- what viewers send

struct ViewerProtocolTest : ::testing::Test {
    std::string sent;
    std::vector<std::string> forwarded;
    std::vector<std::uint32_t> keys;
    std::string pasted;
    ViewerAbilities abilities;
    bool begun = false;
    ViewerProtocol::Handlers handlers() {
        return {.send = [this](const std::string& bytes) { sent += bytes; },
                .begin = [this] { begun = true; },
                .forward = [this](std::string_view m) { forwarded.emplace_back(m); },
                .abilities = [this](ViewerAbilities a) { abilities = a; },
                .key = [this](std::uint32_t sym, std::uint32_t, bool) { keys.push_back(sym); },
                .pointer = [](unsigned, int, int) {},
                .text = [this](const std::string& t) { pasted = t; }};
    }
    ViewerProtocol open{handlers(), std::nullopt};

    void begin() {
        open.start();
        ASSERT_TRUE(open.feed("RFB 003.008\n\1\1"));
        ASSERT_TRUE(begun);
    }
};

TEST_F(ViewerProtocolTest, shakes_hands_in_every_version) {
    for (const auto& [hello, answer] :
         {std::pair<std::string, std::string>{"RFB 003.008\n\1\1", std::string("\1\1\0\0\0\0", 6)},
          {"RFB 003.007\n\1\1", "\1\1"},
          {"RFB 003.003\n\1", std::string("\0\0\0\1", 4)},
          {"RFB 003.889\n\1", std::string("\0\0\0\1", 4)}}) {
        sent.clear();
        ViewerProtocol viewer(handlers(), std::nullopt);
        viewer.start();
        ASSERT_TRUE(viewer.feed(hello)) << hello;
        EXPECT_TRUE(viewer.began()) << hello;
        EXPECT_EQ(sent, std::string(version) + answer) << hello;
    }
}

TEST_F(ViewerProtocolTest, a_wrong_password_is_denied) {
    for (const bool right : {true, false}) {
        sent.clear();
        ViewerProtocol viewer(
            handlers(),
            ViewerProtocol::Password{{}, [right](const auto&, std::string_view) { return right; }});
        viewer.start();
        ASSERT_TRUE(viewer.feed("RFB 003.008\n\2"));
        const auto answered = viewer.feed(std::string(16, 'x'));
        EXPECT_EQ(static_cast<bool>(answered), right);
        EXPECT_EQ(sent.substr(12 + 2 + 16, 4), std::string("\0\0\0", 3) + (right ? '\0' : '\1'));
    }
}

TEST_F(ViewerProtocolTest, cannot_choose_what_was_not_offered) {
    EXPECT_FALSE(open.feed("RFB 003.008\n\2"));
}

TEST_F(ViewerProtocolTest, keeps_libvncservers_extras_from_it) {
    begin();
    std::string message("\2\0\0\4", 4);
    for (const std::int32_t encoding : {std::int32_t{tight}, std::int32_t{qemu_led_state},
                                        std::int32_t{-0x7ffe}, std::int32_t{qemu_extended_key}})
        put32(message, static_cast<std::uint32_t>(encoding));
    ASSERT_TRUE(open.feed(message));
    EXPECT_THAT(forwarded, ElementsAre(std::string("\2\0\0\1\0\0\0\7", 8)));
    EXPECT_TRUE(abilities.leds);
    EXPECT_TRUE(abilities.extended_keys);
    EXPECT_FALSE(open.feed(std::string(1, '\7'))) << "file transfer";
}

TEST_F(ViewerProtocolTest, waits_for_whole_messages) {
    begin();
    const std::string key("\4\1\0\0\0\0\0a", 8);
    for (const char byte : key)
        ASSERT_TRUE(open.feed(std::string_view(&byte, 1)));
    EXPECT_THAT(keys, ElementsAre('a'));
    ASSERT_TRUE(open.feed(std::string("\6\0\0\0\0\0\0\2\xe4z", 10)));
    EXPECT_EQ(pasted, "\xc3\xa4z");
}

TEST_F(ViewerProtocolTest, refuses_pixel_formats_that_no_screen_has) {
    begin();
    const auto format = [](unsigned bits, unsigned most, unsigned shift) {
        std::string out(4, '\0');
        for (const unsigned value : {bits, 8U, 0U, 1U})
            put8(out, value);
        for (int colour = 0; colour < 3; ++colour)
            put16(out, most);
        for (int colour = 0; colour < 3; ++colour)
            put8(out, shift);
        return out + std::string(3, '\0');
    };
    EXPECT_TRUE(open.feed(format(32, 255, 16)));
    for (const std::string& bad : {format(24, 255, 0), format(32, 0, 0), format(32, 255, 30),
                                   format(16, 65535, 0), format(32, 100, 0)}) {
        ViewerProtocol viewer(handlers(), std::nullopt);
        ASSERT_TRUE(viewer.feed("RFB 003.008\n\1\1"));
        EXPECT_FALSE(viewer.feed(bad));
    }
}

// -- text

constexpr const char* video_bios = "/usr/share/seabios/vgabios-stdvga.bin";
constexpr const char* uefi = "/usr/share/OVMF/OVMF_CODE_4M.fd";

const std::vector<Font>& fonts() {
    static const auto all = [] {
        std::vector<Font> found;
        const auto bios = read_file(video_bios);
        EXPECT_TRUE(bios) << "seabios is a part of qemu-system-x86";
        for (const int height : {16, 14, 8})
            found.push_back(Font::of_vga(*bios, height).value());
        const auto qemu = read_file("/usr/bin/qemu-system-x86_64");
        EXPECT_TRUE(qemu) << "the package qemu-system-x86";
        found.push_back(Font::of_vga(*qemu, 16).value());
        const auto firmware = read_file(uefi);
        EXPECT_TRUE(firmware) << "the package ovmf";
        found.push_back(Font::from_uefi(*firmware).value());
        return found;
    }();
    return all;
}

const Font& font(int height) {
    return *std::find_if(fonts().begin(), fonts().end(),
                         [height](const Font& f) { return f.height() == height; });
}

struct Place {
    int left = 0;
    int top = 0;
    int cell = 8;
    int dot = 1; ///< its width
};

void write_at(Frame& frame, const Font& letters, std::u32string_view text, Place place, int column,
              int row, std::uint32_t ink, std::uint32_t ground) {
    for (const char32_t code : text) {
        const Font::Glyph& glyph = letters.glyph(code);
        for (int y = 0; y < letters.height(); ++y)
            for (int x = 0; x < place.cell; ++x) {
                const int at = x / place.dot;
                const bool dot = at < 8 && (glyph[static_cast<std::size_t>(y)] >> (7 - at) & 1);
                frame.row(place.top + row * letters.height() +
                          y)[place.left + column * place.cell + x] = dot ? ink : ground;
            }
        ++column;
    }
}

struct TextCase {
    const char* name;
    int width, height;
    int font_height;
    Place place;
    int columns, rows;
};

void PrintTo(const TextCase& mode, std::ostream* out) { *out << mode.name; }

struct ScreenTextTest : ::testing::TestWithParam<TextCase> {};

TEST_P(ScreenTextTest, is_read_in_every_size) {
    const TextCase& mode = GetParam();
    const Font& letters = font(mode.font_height);
    Frame frame;
    frame.resize(mode.width, mode.height);
    const std::u32string last = U"the last row is as long as that";
    write_at(frame, letters, U"login: root", mode.place, 3, 2, 0xaaaaaa, 0);
    write_at(frame, letters, U"[ OK ] ╔═╗", mode.place, 0, 4, 0, 0xaaaaaa);
    write_at(frame, letters, last, mode.place, mode.columns - static_cast<int>(last.size()),
             mode.rows - 1, 0xaaaaaa, 0);
    const auto read = read_text(frame, fonts());
    ASSERT_TRUE(read);
    EXPECT_THAT(read->text, ::testing::StartsWith("\n\n   login: root\n\n[ OK ] ╔═╗\n"));
    EXPECT_THAT(read->text, ::testing::EndsWith(" the last row is as long as that\n"));
    EXPECT_EQ(std::pair(read->columns, read->rows), std::pair(mode.columns, mode.rows));
}

INSTANTIATE_TEST_SUITE_P(
    modes, ScreenTextTest,
    ::testing::Values(TextCase{"vga_80x25", 720, 400, 16, {0, 0, 9}, 80, 25},
                      TextCase{"vga_80x25_of_8_dots", 640, 400, 16, {}, 80, 25},
                      TextCase{"vga_40x25", 640, 400, 16, {0, 0, 16, 2}, 40, 25},
                      TextCase{"vga_80x28", 720, 392, 14, {0, 0, 9}, 80, 28},
                      TextCase{"vga_80x43", 720, 344, 8, {0, 0, 9}, 80, 43},
                      TextCase{"vga_80x50", 720, 400, 8, {0, 0, 9}, 80, 50},
                      TextCase{"vga_80x60", 640, 480, 8, {}, 80, 60},
                      TextCase{"vga_132x43", 1188, 344, 8, {0, 0, 9}, 132, 43},
                      TextCase{"linux_80x30", 640, 480, 16, {}, 80, 30},
                      TextCase{"linux_128x48", 1024, 768, 16, {}, 128, 48},
                      TextCase{"linux_160x50", 1280, 800, 16, {}, 160, 50},
                      TextCase{"linux_240x67", 1920, 1080, 16, {}, 240, 67},
                      TextCase{"uefi_80x25", 640, 480, 19, {0, 2}, 80, 25},
                      TextCase{"uefi_80x25_amid", 1280, 800, 19, {320, 162}, 80, 25},
                      TextCase{"uefi_100x31", 800, 600, 19, {0, 5}, 100, 31},
                      TextCase{"uefi_100x31_amid", 1280, 800, 19, {240, 105}, 100, 31},
                      TextCase{"uefi_128x40", 1024, 768, 19, {0, 4}, 128, 40},
                      TextCase{"uefi_160x42", 1280, 800, 19, {0, 1}, 160, 42}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(screen_text, is_read_in_the_font_that_fits_best) {
    for (const Font& letters : fonts()) {
        Frame frame;
        frame.resize(1280, 800);
        Place place;
        place.top = letters.height() == 19 ? 1 : 0;
        write_at(frame, letters, U"Most of it looks alike, yet not MTVW0 fmvw", place, 0, 3, 1, 0);
        const auto read = read_text(frame, fonts());
        ASSERT_TRUE(read);
        EXPECT_THAT(read->text, HasSubstr("Most of it looks alike, yet not MTVW0 fmvw"));
    }
}

TEST(screen_text, is_read_below_a_cursor) {
    Frame frame;
    frame.resize(720, 400);
    write_at(frame, font(16), U"ax", {0, 0, 9}, 0, 0, 0xaaaaaa, 0);
    for (int y = 13; y < 15; ++y)
        for (int x = 9; x < 18; ++x)
            frame.row(y)[x] = 0xaaaaaa;
    ASSERT_TRUE(read_text(frame, fonts()));
    EXPECT_EQ(read_text(frame, fonts())->text, "ax\n");
}

TEST(screen_text, is_not_seen_in_pictures) {
    Frame frame;
    for (const auto& [width, height] : {std::pair{640, 480}, {1280, 800}, {720, 400}})
        for (const std::uint32_t colours : {0xffffffU, 0x1U}) {
            frame.resize(width, height);
            for (std::size_t i = 0; i < frame.pixels.size(); ++i)
                frame.pixels[i] = static_cast<std::uint32_t>((i * 2654435761U) >> 13U) & colours;
            EXPECT_FALSE(read_text(frame, fonts())) << width << ' ' << colours;
        }
    frame.resize(100, 100);
    EXPECT_FALSE(read_text(frame, fonts()));
}

TEST(screen_notice, fits_whatever_it_says) {
    Frame frame;
    draw_notice(frame, font(16),
                {std::string(500, 'W'), std::string(500, '\n'), std::string(5000, 'x')});
    EXPECT_EQ(frame.width, 720);
    EXPECT_THAT(png_of(frame).value(), ::testing::StartsWith("\x89PNG"));
}

TEST(font, is_refused_where_there_is_none) {
    for (const int height : {16, 14, 8, 5, 0})
        for (const std::string& bios : {std::string(), std::string(40000, 'x')})
            EXPECT_FALSE(Font::of_vga(bios, height));
    EXPECT_FALSE(Font::from_uefi(""));
    std::string firmware = read_file(uefi).value().substr(0, 4096);
    EXPECT_FALSE(Font::from_uefi(firmware)) << "cut off";
    std::fill(firmware.begin() + 0xb0, firmware.end(), 'x');
    EXPECT_FALSE(Font::from_uefi(firmware)) << "not packed so";
}

// -- keys

TEST(keys, by_name) {
    const auto strokes = strokes_of("Ctrl-Alt-Delete f12");
    ASSERT_TRUE(strokes);
    std::vector<std::uint32_t> codes;
    for (const Stroke& stroke : *strokes)
        codes.push_back(stroke.code + (stroke.down ? 0U : 1000U));
    EXPECT_THAT(codes, ElementsAre(0x1d, 0x38, 0xd3, 1000 + 0xd3, 1000 + 0x38, 1000 + 0x1d, 0x58,
                                   1000 + 0x58));
    for (const char* wrong : {"", "f13", "-", "hyper-x", "fx", "ctrl--x"})
        EXPECT_FALSE(strokes_of(wrong)) << wrong;
}

TEST(keys, of_layouts) {
    const auto us = load_layout("us");
    ASSERT_TRUE(us) << "xkb-data";
    EXPECT_EQ(us->at(U'z').code, 0x2cU);
    EXPECT_TRUE(us->at(U'Z').shift);
    const auto german = load_layout("de");
    ASSERT_TRUE(german);
    EXPECT_EQ(german->at(U'z').code, 0x15U);
    EXPECT_EQ(german->at(U'ü').code, 0x1aU);
    EXPECT_TRUE(german->at(U'@').alt_graph);
    EXPECT_TRUE(load_layout("fr(bepo)"));
    for (const char* wrong : {"", "xx", "../../etc/passwd", "us,de", "de(none)"})
        EXPECT_FALSE(load_layout(wrong)) << wrong;
}

} // namespace

} // namespace lom::kvms
