// Where whole blocks of one image outlive the process: what ImageReader knows of a disk cache. It
// only holds blocks of the image it was opened for, and gives none that it cannot vouch for. Loop
// thread only.
#pragma once

#include "kvms/media/engine/block_cache.h"

#include <cstdint>
#include <vector>

namespace lom::media {

class BlockStore {
  public:
    virtual ~BlockStore() = default;
    virtual bool has(std::uint64_t index) const = 0;
    /// Some that it has, far apart.
    virtual std::vector<std::uint64_t> samples(std::size_t count) const = 0;
    /// False when the block turns out to be missing or damaged; it is forgotten then.
    virtual bool load(std::uint64_t index, std::uint32_t length, Block& block) = 0;
    /// Takes the block some time, or not at all: has() tells.
    virtual void save(std::uint64_t index, std::uint32_t length, const BlockRef& block) = 0;
    /// Blocks it can hold.
    virtual std::uint64_t capacity() const = 0;
    /// They are another image's.
    virtual void discard() = 0;
};

} // namespace lom::media
