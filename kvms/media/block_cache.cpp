#include "kvms/media/block_cache.h"

#include <algorithm>
#include <utility>

namespace lom::media {

namespace {
constexpr std::size_t min_blocks = 16;
}

BlockCache::BlockCache(std::size_t bytes) : capacity_(std::max(bytes / block_size, min_blocks)) {}

BlockRef BlockCache::find(std::uint64_t index) {
    const auto entry = entries_.find(index);
    if (entry == entries_.end())
        return nullptr;
    order_.splice(order_.begin(), order_, entry->second);
    return entry->second->second;
}

void BlockCache::put(std::uint64_t index, BlockRef block) {
    if (const auto entry = entries_.find(index); entry != entries_.end()) {
        entry->second->second = std::move(block);
        return;
    }
    if (order_.size() >= capacity_) {
        BlockRef& last = order_.back().second;
        if (last.use_count() == 1)
            spare_ = std::move(last);
        entries_.erase(order_.back().first);
        order_.pop_back();
    }
    order_.emplace_front(index, std::move(block));
    entries_[index] = order_.begin();
}

BlockRef BlockCache::make() {
    return spare_ ? std::exchange(spare_, nullptr) : std::make_shared<Block>();
}

std::vector<std::pair<std::uint64_t, BlockRef>> BlockCache::newest(std::size_t count) const {
    const auto end =
        std::next(order_.begin(), static_cast<std::ptrdiff_t>(std::min(count, order_.size())));
    return {order_.begin(), end};
}

} // namespace lom::media
