// Blocks of the image that have come, wholly or in part, least recently used out first. A block's
// memory is a slot of one region that is as large as the cache's bound, taken as it fills and used
// again afterwards. A block that somebody holds stays. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

namespace lom::media {

/// 128 KiB: what one SFTP request carries best; smaller only needs more of them under way.
constexpr std::size_t block_size = 128U << 10U;
/// The least that is asked for and kept: reads of a few sectors must not cost a whole block.
constexpr std::size_t granule_size = block_size / 32;
/// One bit for each granule of a block.
using Granules = std::uint32_t;
constexpr Granules all_granules = ~Granules{0};

/// The granules that bytes [begin, end) of a block touch; end is above begin.
constexpr Granules granules_of(std::size_t begin, std::size_t end) {
    const std::size_t first = begin / granule_size;
    const std::size_t last = (end - 1) / granule_size;
    return (all_granules << first) & (all_granules >> (31 - last));
}

class BlockMemory;

struct Block {
    explicit Block(std::shared_ptr<BlockMemory> memory);
    ~Block();
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    char* bytes;
    Granules valid = 0;  ///< have come
    Granules coming = 0; ///< have been asked for
    bool holds(Granules wanted) const { return (wanted & ~valid) == 0; }

  private:
    std::shared_ptr<BlockMemory> memory_;
};
using BlockRef = std::shared_ptr<Block>;

class BlockCache {
  public:
    /// Holds at most `bytes`, but no less than a few blocks.
    explicit BlockCache(std::size_t bytes);

    /// nullptr when it is not here; else it counts as used now.
    BlockRef find(std::uint64_t index);
    /// Without counting as a use; nullptr when it is not here.
    const Block* peek(std::uint64_t index) const;
    bool contains(std::uint64_t index) const { return entries_.contains(index); }
    /// Puts a block in; the least recently used that nobody holds gives way.
    void put(std::uint64_t index, BlockRef block);
    /// An empty block.
    BlockRef make();
    /// The most recently used ones of which something has come, for comparing with the server's.
    std::vector<std::pair<std::uint64_t, BlockRef>> newest(std::size_t count) const;
    std::size_t capacity() const { return capacity_; } ///< in blocks
    std::size_t size() const { return order_.size(); }
    /// What has come of them, in whole granules.
    std::uint64_t bytes_held() const;

  private:
    using Order = std::list<std::pair<std::uint64_t, BlockRef>>;

    void make_way();

    std::size_t capacity_;
    std::shared_ptr<BlockMemory> memory_;
    Order order_; ///< most recently used first
    std::unordered_map<std::uint64_t, Order::iterator> entries_;
};

} // namespace lom::media
