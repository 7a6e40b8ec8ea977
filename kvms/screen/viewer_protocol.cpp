#include "kvms/screen/viewer_protocol.h"

#include "kvms/screen/rfb.h"

#include <algorithm>

namespace lom::kvms {

using namespace rfb;

namespace {

constexpr std::size_t most_text = 256U << 10U;
constexpr std::size_t most_encodings = 256;
constexpr std::size_t most_screens = 16;
constexpr std::string_view wrong_password = "Wrong password.";

Fault nonsense(const std::string& what) {
    return {FaultKind::usage, "The viewer sends nonsense: " + what + "."};
}

/// What libvncserver may hear of: not its file transfer, scaling, or text chat.
bool passes(std::int32_t encoding) {
    constexpr std::int32_t known[] = {raw,
                                      copy_rect,
                                      hextile,
                                      zlib,
                                      tight,
                                      zrle,
                                      rich_cursor,
                                      desktop_size,
                                      last_rect,
                                      cursor_position,
                                      extended_desktop_size};
    return std::find(std::begin(known), std::end(known), encoding) != std::end(known) ||
           (encoding >= jpeg_quality_lowest && encoding <= jpeg_quality_highest) ||
           (encoding >= compression_lowest && encoding <= compression_highest);
}

/// Formats with which libvncserver computes within its tables and types.
bool sane_format(std::string_view message) {
    const unsigned bits = get8(message, 4);
    const bool true_colour = get8(message, 7) != 0;
    if ((bits != 8 && bits != 16 && bits != 32) || get8(message, 5) > bits)
        return false;
    if (!true_colour)
        return bits == 8;
    for (unsigned colour = 0; colour < 3; ++colour) {
        const unsigned most = get16(message, 8 + 2 * colour);
        const unsigned shift = get8(message, 14 + colour);
        const bool whole_bits = most != 0 && most <= 255 && (most & (most + 1)) == 0;
        if (!whole_bits || shift >= bits || (std::uint64_t{most} << shift) >> bits != 0)
            return false;
    }
    return true;
}

std::string utf8_of_latin1(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x80) {
            put8(out, 0xc0U | byte >> 6U);
            put8(out, 0x80U | (byte & 0x3fU));
        } else {
            out += c;
        }
    }
    return out;
}

} // namespace

ViewerProtocol::ViewerProtocol(Handlers handlers, std::optional<Password> password)
    : handlers_(std::move(handlers)), password_(std::move(password)) {}

void ViewerProtocol::start() { handlers_.send(std::string(version)); }

Result<void> ViewerProtocol::feed(std::string_view bytes) {
    buffer_.append(bytes);
    std::size_t used = 0;
    for (;;) {
        const std::string_view here = std::string_view(buffer_).substr(used);
        const auto length = length_of(here);
        if (!length)
            return length.fault();
        if (*length == 0 || here.size() < *length)
            break;
        used += *length;
        if (const auto fine = step(here.substr(0, *length)); !fine)
            return fine;
    }
    buffer_.erase(0, used);
    return {};
}

Result<std::size_t> ViewerProtocol::length_of(std::string_view here) const {
    switch (state_) {
    case State::version:
        return version.size();
    case State::security:
    case State::init:
        return 1;
    case State::password:
        return std::tuple_size_v<Challenge>;
    case State::messages:
        break;
    }
    constexpr std::size_t unknown = 0;
    if (here.empty())
        return unknown;
    switch (get8(here, 0)) {
    case set_pixel_format:
        return 20;
    case set_encodings:
        if (here.size() < 4)
            return unknown;
        if (get16(here, 2) > most_encodings)
            return nonsense("too many encodings");
        return 4 + 4 * std::size_t{get16(here, 2)};
    case update_request:
        return 10;
    case key_event:
        return 8;
    case pointer_event:
        return 6;
    case client_cut_text:
        if (here.size() < 8)
            return unknown;
        if (get32(here, 4) > most_text)
            return nonsense("a text of more than 256 KiB");
        return 8 + std::size_t{get32(here, 4)};
    case set_desktop_size:
        if (here.size() < 8)
            return unknown;
        if (get8(here, 6) > most_screens)
            return nonsense("too many screens");
        return 8 + 16 * std::size_t{get8(here, 6)};
    case qemu_message:
        if (here.size() < 2)
            return unknown;
        if (get8(here, 1) != 0)
            return nonsense("a message of QEMU's that was not offered");
        return 12;
    default:
        return nonsense("a message of kind " + std::to_string(get8(here, 0)));
    }
}

Result<void> ViewerProtocol::step(std::string_view bytes) {
    switch (state_) {
    case State::version:
        return take_version(bytes);
    case State::security:
        if (get8(bytes, 0) != (password_ ? security_password : security_none))
            return nonsense("a security type that was not offered");
        security_done();
        return {};
    case State::password:
        return take_password(bytes);
    case State::init:
        state_ = State::messages;
        handlers_.begin();
        return {};
    case State::messages:
        return take_message(bytes);
    }
    return {};
}

Result<void> ViewerProtocol::take_version(std::string_view bytes) {
    if (!bytes.starts_with("RFB 003.") || bytes.back() != '\n')
        return nonsense("it does not speak RFB 3");
    const std::string_view minor = bytes.substr(8, 3);
    minor_ = minor == "008" ? 8 : minor == "007" ? 7 : 3;
    offer_security();
    return {};
}

void ViewerProtocol::offer_security() {
    const Security type = password_ ? security_password : security_none;
    std::string out;
    if (minor_ == 3) {
        put32(out, type); // no choice in this version
        handlers_.send(std::move(out));
        return security_done();
    }
    put8(out, 1);
    put8(out, type);
    state_ = State::security;
    handlers_.send(std::move(out));
}

void ViewerProtocol::security_done() {
    std::string out;
    state_ = password_ ? State::password : State::init;
    if (password_)
        out.assign(password_->challenge.data(), password_->challenge.size());
    else if (minor_ == 8)
        put32(out, 0); // fine
    if (!out.empty())
        handlers_.send(std::move(out));
}

Result<void> ViewerProtocol::take_password(std::string_view answer) {
    std::string out;
    const bool right = password_->check(password_->challenge, answer);
    put32(out, right ? 0 : 1);
    if (!right && minor_ == 8) {
        put32(out, static_cast<std::uint32_t>(wrong_password.size()));
        out += wrong_password;
    }
    handlers_.send(std::move(out));
    if (!right)
        return Fault{FaultKind::denied, std::string(wrong_password)};
    state_ = State::init;
    return {};
}

Result<void> ViewerProtocol::take_message(std::string_view message) {
    switch (get8(message, 0)) {
    case set_pixel_format:
        if (!sane_format(message))
            return nonsense("a pixel format that no screen has");
        handlers_.forward(message);
        break;
    case set_encodings:
        take_encodings(message);
        break;
    case key_event:
        handlers_.key(get32(message, 4), 0, get8(message, 1) != 0);
        break;
    case qemu_message:
        handlers_.key(get32(message, 4), get32(message, 8), get16(message, 2) != 0);
        break;
    case pointer_event:
        handlers_.pointer(get8(message, 1), static_cast<int>(get16(message, 2)),
                          static_cast<int>(get16(message, 4)));
        break;
    case client_cut_text:
        handlers_.text(utf8_of_latin1(message.substr(8)));
        break;
    default:
        handlers_.forward(message);
    }
    return {};
}

void ViewerProtocol::take_encodings(std::string_view message) {
    ViewerAbilities abilities;
    std::string list;
    for (std::size_t at = 4; at < message.size(); at += 4) {
        const auto encoding = static_cast<std::int32_t>(get32(message, at));
        abilities.extended_keys = abilities.extended_keys || encoding == qemu_extended_key;
        abilities.leds = abilities.leds || encoding == qemu_led_state;
        if (passes(encoding))
            list += message.substr(at, 4);
    }
    std::string kept;
    put8(kept, set_encodings);
    put8(kept, 0);
    put16(kept, static_cast<unsigned>(list.size() / 4));
    handlers_.forward(kept + list);
    handlers_.abilities(abilities);
}

} // namespace lom::kvms
