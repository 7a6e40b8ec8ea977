// Sizes of disks and memory: read as 20G, 512 MB, 1048576; printed as 20 GB, 512 MB.
#pragma once

#include "sp/tree/value.h"

#include <cstdint>

namespace lom {

struct ByteSize {
    std::uint64_t bytes = 0;
};

const Type& size_type();

template <>
struct Codec<ByteSize> {
    static const Type& type() { return size_type(); }
    static Value wrap(ByteSize size) { return static_cast<std::int64_t>(size.bytes); }
    static ByteSize unwrap(const Value& value) {
        return {static_cast<std::uint64_t>(std::get<std::int64_t>(value))};
    }
};

} // namespace lom
