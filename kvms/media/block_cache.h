// Blocks of the image that have come, least recently used out first. Memory is taken block by
// block as the cache fills, and used again afterwards. Readers may hold a block beyond its stay.
// One thread.
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

struct Block {
    std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(block_size);
};
using BlockRef = std::shared_ptr<Block>;

class BlockCache {
  public:
    /// Holds at most `bytes`, but no less than a few blocks.
    explicit BlockCache(std::size_t bytes);

    /// nullptr when it is not here; else it counts as used now.
    BlockRef find(std::uint64_t index);
    bool contains(std::uint64_t index) const { return entries_.contains(index); }
    void put(std::uint64_t index, BlockRef block);
    /// An unused block to fill; its content is undefined.
    BlockRef make();
    /// The most recently used ones, for comparing with the server's.
    std::vector<std::pair<std::uint64_t, BlockRef>> newest(std::size_t count) const;
    std::size_t capacity() const { return capacity_; } ///< in blocks

  private:
    using Order = std::list<std::pair<std::uint64_t, BlockRef>>;

    std::size_t capacity_;
    Order order_; ///< most recently used first
    std::unordered_map<std::uint64_t, Order::iterator> entries_;
    BlockRef spare_;
};

} // namespace lom::media
