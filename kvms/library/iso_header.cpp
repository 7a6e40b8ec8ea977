#include "kvms/library/iso_header.h"

#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace lom::kvms {

namespace {

constexpr off_t descriptor_offset = 16 * 2048;
constexpr std::size_t volume_id_at = 40;
constexpr std::size_t volume_id_length = 32;
constexpr std::size_t blocks_at = 80; // 32 bits, little endian first
constexpr std::size_t block_size_at = 128;

std::uint64_t little_endian(const unsigned char* bytes, std::size_t count) {
    std::uint64_t value = 0;
    while (count-- > 0)
        value = value << 8U | bytes[count];
    return value;
}

} // namespace

IsoHeader read_iso_header(const std::string& file) {
    const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    std::array<unsigned char, 2048> sector{};
    if (!fd || pread(fd.get(), sector.data(), sector.size(), descriptor_offset) !=
                   static_cast<ssize_t>(sector.size()))
        return {};
    if (std::memcmp(sector.data(), "\001CD001", 6) != 0)
        return {};
    IsoHeader header;
    for (std::size_t i = 0; i < volume_id_length; ++i) {
        const unsigned char c = sector[volume_id_at + i];
        header.volume_id += c >= ' ' && c < 0x7f ? static_cast<char>(c) : '?';
    }
    header.volume_id.erase(header.volume_id.find_last_not_of(' ') + 1);
    header.size = little_endian(&sector[blocks_at], 4) * little_endian(&sector[block_size_at], 2);
    return header;
}

} // namespace lom::kvms
