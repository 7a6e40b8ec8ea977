// Numbers of the RFB protocol and its byte order, for the client towards QEMU and for what viewers
// send. Standard library only; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lom::kvms::rfb {

constexpr std::string_view version = "RFB 003.008\n";

enum Security : std::uint8_t { security_none = 1, security_password = 2 };

enum FromViewer : std::uint8_t {
    set_pixel_format = 0,
    set_encodings = 2,
    update_request = 3,
    key_event = 4,
    pointer_event = 5,
    client_cut_text = 6,
    set_desktop_size = 251,
    qemu_message = 255,
};

enum FromServer : std::uint8_t {
    framebuffer_update = 0,
    bell = 2,
    server_cut_text = 3,
};

enum Encoding : std::int32_t {
    raw = 0,
    copy_rect = 1,
    hextile = 5,
    zlib = 6,
    tight = 7,
    zrle = 16,
    jpeg_quality_lowest = -32,
    jpeg_quality_highest = -23,
    desktop_size = -223,
    last_rect = -224,
    cursor_position = -232,
    rich_cursor = -239,
    compression_lowest = -256,
    compression_highest = -247,
    qemu_extended_key = -258,
    qemu_led_state = -261,
    extended_desktop_size = -308,
};

inline void put8(std::string& out, unsigned value) { out += static_cast<char>(value); }
inline void put16(std::string& out, unsigned value) {
    put8(out, (value >> 8U) & 0xffU);
    put8(out, value & 0xffU);
}
inline void put32(std::string& out, std::uint32_t value) {
    put16(out, value >> 16U);
    put16(out, value & 0xffffU);
}

/// The caller has checked that the bytes are there.
inline unsigned get8(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}
inline unsigned get16(std::string_view bytes, std::size_t at) {
    return get8(bytes, at) << 8U | get8(bytes, at + 1);
}
inline std::uint32_t get32(std::string_view bytes, std::size_t at) {
    return get16(bytes, at) << 16U | get16(bytes, at + 2);
}

} // namespace lom::kvms::rfb
