#include "kvms/screen/display.h"

#include "kvms/screen/rfb.h"

#include <algorithm>
#include <cstring>

namespace lom::kvms {

using namespace rfb;

namespace {

constexpr int largest_cursor = 256;
constexpr std::size_t most_skipped = 16U << 20U;

Fault nonsense(const std::string& what) {
    return {FaultKind::unavailable, "The host's display sends nonsense: " + what + "."};
}

std::size_t mask_size(const Rect& rect) {
    return static_cast<std::size_t>((rect.width + 7) / 8) * static_cast<std::size_t>(rect.height);
}

std::size_t pixel_size(int pixels) { return static_cast<std::size_t>(pixels) * 4; }

} // namespace

Display::Display(Frame& frame, Handlers handlers) : frame_(frame), handlers_(std::move(handlers)) {}

Result<void> Display::feed(std::string_view bytes) {
    buffer_.append(bytes);
    std::size_t used = 0;
    for (;;) {
        const std::string_view here = std::string_view(buffer_).substr(used);
        const std::size_t need = needed(here);
        if (here.size() < need)
            break;
        used += need;
        if (const auto fine = step(here.substr(0, need)); !fine)
            return fine;
    }
    buffer_.erase(0, used);
    return {};
}

std::size_t Display::needed(std::string_view here) const {
    switch (state_) {
    case State::version:
        return version.size();
    case State::security:
        // The number of types, then the types.
        return here.empty() ? 1 : 1 + get8(here, 0);
    case State::result:
        return 4;
    case State::init:
        return 24;
    case State::message:
    case State::leds:
        return 1;
    case State::update:
        return 3;
    case State::text:
        return 7;
    case State::rect:
        return 12;
    case State::pixels:
        return pixel_size(rect_.width);
    case State::cursor:
        return pixel_size(rect_.width * rect_.height) + mask_size(rect_);
    case State::skip:
        return std::min<std::size_t>(skip_, 4096);
    }
    return 1;
}

Result<void> Display::step(std::string_view bytes) {
    switch (state_) {
    case State::version:
        if (!bytes.starts_with("RFB 003."))
            return nonsense("it does not speak RFB 3");
        handlers_.send(std::string(version));
        state_ = State::security;
        return {};
    case State::security:
        if (bytes.substr(1).find(static_cast<char>(security_none)) == std::string_view::npos)
            return nonsense("it wants a password");
        handlers_.send(std::string(1, static_cast<char>(security_none)));
        state_ = State::result;
        return {};
    case State::result:
        if (get32(bytes, 0) != 0)
            return nonsense("it refuses the connection");
        handlers_.send(std::string(1, '\1')); // shared
        state_ = State::init;
        return {};
    case State::init:
        return server_init(bytes);
    case State::message:
        return begin_message(get8(bytes, 0));
    case State::update:
        rects_ = get16(bytes, 1) + 1;
        next_rect();
        return {};
    case State::text:
        return skip(get32(bytes, 3));
    case State::leds:
        handlers_.leds(static_cast<int>(get8(bytes, 0)));
        next_rect();
        return {};
    case State::rect:
        return begin_rect(bytes);
    case State::pixels:
        take_pixels(bytes);
        return {};
    case State::cursor:
        take_cursor(bytes);
        return {};
    case State::skip:
        skip_ -= bytes.size();
        if (skip_ == 0)
            state_ = State::message;
        return {};
    }
    return {};
}

Result<void> Display::server_init(std::string_view bytes) {
    std::string out;
    put8(out, set_pixel_format);
    out.append(3, '\0');
    for (const unsigned value : {32U, 24U, 0U, 1U}) // bits, depth, little-endian, true colour
        put8(out, value);
    for (int colour = 0; colour < 3; ++colour)
        put16(out, 255);
    for (const unsigned shift : {16U, 8U, 0U})
        put8(out, shift);
    out.append(3, '\0');
    constexpr Encoding wanted[] = {raw, desktop_size, qemu_extended_key, qemu_led_state,
                                   rich_cursor};
    put8(out, set_encodings);
    put8(out, 0);
    put16(out, static_cast<unsigned>(std::size(wanted)));
    for (const Encoding encoding : wanted)
        put32(out, static_cast<std::uint32_t>(encoding));
    handlers_.send(std::move(out));
    if (const auto name = skip(get32(bytes, 20)); !name)
        return name;
    return resize(static_cast<int>(get16(bytes, 0)), static_cast<int>(get16(bytes, 2)));
}

Result<void> Display::begin_message(unsigned kind) {
    if (kind == framebuffer_update)
        state_ = State::update;
    else if (kind == server_cut_text)
        state_ = State::text;
    else if (kind != bell)
        return nonsense("a message of kind " + std::to_string(kind));
    return {};
}

Result<void> Display::skip(std::size_t bytes) {
    if (bytes > most_skipped)
        return nonsense("a text of " + std::to_string(bytes) + " bytes");
    skip_ = bytes;
    state_ = bytes == 0 ? State::message : State::skip;
    return {};
}

void Display::next_rect() {
    state_ = State::rect;
    if (--rects_ != 0)
        return;
    state_ = State::message;
    handlers_.updated(std::exchange(changed_, {}));
}

Result<void> Display::begin_rect(std::string_view bytes) {
    rect_ = {static_cast<int>(get16(bytes, 0)), static_cast<int>(get16(bytes, 2)),
             static_cast<int>(get16(bytes, 4)), static_cast<int>(get16(bytes, 6))};
    row_ = 0;
    switch (static_cast<std::int32_t>(get32(bytes, 8))) {
    case raw:
        if (!frame_.contains(rect_))
            return nonsense("pixels outside the picture");
        if (rect_.width == 0 || rect_.height == 0)
            next_rect();
        else
            begin_pixels();
        return {};
    case desktop_size:
        if (const auto resized = resize(rect_.width, rect_.height); !resized)
            return resized;
        next_rect();
        return {};
    case rich_cursor:
        if (rect_.width > largest_cursor || rect_.height > largest_cursor)
            return nonsense("a huge mouse pointer");
        state_ = State::cursor;
        return {};
    case qemu_extended_key:
        extended_keys_ = true;
        next_rect();
        return {};
    case qemu_led_state:
        state_ = State::leds;
        return {};
    default:
        return nonsense("an encoding that was not asked for");
    }
}

Result<void> Display::resize(int width, int height) {
    if (!Frame::allows(width, height))
        return nonsense("a picture of " + std::to_string(width) + " x " + std::to_string(height));
    handlers_.changing();
    frame_.resize(width, height);
    changed_.clear();
    handlers_.resized();
    ask(false);
    return {};
}

void Display::begin_pixels() {
    state_ = State::pixels;
    if (changed_.empty())
        handlers_.changing();
}

void Display::take_pixels(std::string_view bytes) {
    std::memcpy(frame_.row(rect_.y + row_) + rect_.x, bytes.data(), bytes.size());
    if (++row_ < rect_.height)
        return;
    changed_.push_back(rect_);
    next_rect();
}

void Display::take_cursor(std::string_view bytes) {
    Cursor cursor{rect_.width, rect_.height, rect_.x, rect_.y, {}, {}};
    const std::size_t pixels = bytes.size() - mask_size(rect_);
    cursor.pixels.resize(pixels / 4);
    if (pixels != 0)
        std::memcpy(cursor.pixels.data(), bytes.data(), pixels);
    cursor.mask.assign(bytes.begin() + static_cast<std::ptrdiff_t>(pixels), bytes.end());
    handlers_.cursor(std::move(cursor));
    next_rect();
}

void Display::request() { ask(true); }

void Display::ask(bool incremental) {
    std::string out;
    put8(out, update_request);
    put8(out, incremental ? 1 : 0);
    put32(out, 0);
    put16(out, static_cast<unsigned>(frame_.width));
    put16(out, static_cast<unsigned>(frame_.height));
    handlers_.send(std::move(out));
}

void Display::key(std::uint32_t keysym, std::uint32_t code, bool down) {
    std::string out;
    if (extended_keys_ && code != 0) {
        put8(out, qemu_message);
        put8(out, 0);
        put16(out, down ? 1 : 0);
        put32(out, keysym);
        put32(out, code);
    } else {
        put8(out, key_event);
        put8(out, down ? 1 : 0);
        put16(out, 0);
        put32(out, keysym);
    }
    handlers_.send(std::move(out));
}

void Display::pointer(unsigned buttons, int x, int y) {
    std::string out;
    put8(out, pointer_event);
    put8(out, buttons);
    put16(out, static_cast<unsigned>(std::clamp(x, 0, frame_.width - 1)));
    put16(out, static_cast<unsigned>(std::clamp(y, 0, frame_.height - 1)));
    handlers_.send(std::move(out));
}

} // namespace lom::kvms
