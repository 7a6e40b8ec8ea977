// What an image says of itself in its ISO 9660 volume descriptor. One read of a file's sector,
// which may hold anything. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace lom::kvms {

struct IsoHeader {
    std::string volume_id;  ///< printable; empty: none, or not such an image
    std::uint64_t size = 0; ///< bytes that the file system takes; 0: not known
};

IsoHeader read_iso_header(const std::string& file);

} // namespace lom::kvms
