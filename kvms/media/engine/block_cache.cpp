#include "kvms/media/engine/block_cache.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace lom::media {

namespace {
constexpr std::size_t min_blocks = 16;
} // namespace

/// Slots for blocks. What does not fit (blocks held beyond their stay) comes from the heap.
class BlockMemory {
  public:
    explicit BlockMemory(std::size_t slots)
        : slots_(slots), region_(mmap(nullptr, slots * block_size, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        if (region_ == MAP_FAILED)
            slots_ = 0;
        else
            first_ = static_cast<char*>(region_);
    }
    ~BlockMemory() {
        if (region_ != MAP_FAILED)
            munmap(region_, slots_ * block_size);
    }
    BlockMemory(const BlockMemory&) = delete;
    BlockMemory& operator=(const BlockMemory&) = delete;

    char* take() {
        if (!free_.empty()) {
            char* const slot = free_.back();
            free_.pop_back();
            return slot;
        }
        if (taken_ < slots_)
            return first_ + block_size * taken_++;
        return static_cast<char*>(::operator new(block_size));
    }
    void give_back(char* slot) {
        if (slot >= first_ && slot < first_ + slots_ * block_size)
            free_.push_back(slot);
        else
            ::operator delete(slot);
    }

  private:
    std::size_t slots_;
    void* region_;
    char* first_ = nullptr;
    std::size_t taken_ = 0; ///< of the slots, at least once
    std::vector<char*> free_;
};

Block::Block(std::shared_ptr<BlockMemory> memory)
    : bytes(memory->take()), memory_(std::move(memory)) {}

Block::~Block() { memory_->give_back(bytes); }

BlockCache::BlockCache(std::size_t bytes)
    : capacity_(std::max(bytes / block_size, min_blocks)),
      memory_(std::make_shared<BlockMemory>(capacity_)) {}

BlockRef BlockCache::find(std::uint64_t index) {
    const auto entry = entries_.find(index);
    if (entry == entries_.end())
        return nullptr;
    order_.splice(order_.begin(), order_, entry->second);
    return entry->second->second;
}

const Block* BlockCache::peek(std::uint64_t index) const {
    const auto entry = entries_.find(index);
    return entry == entries_.end() ? nullptr : entry->second->second.get();
}

/// A block that is held would not give its memory back, and while it is held there must be no other
/// one of its index.
void BlockCache::make_way() {
    for (auto victim = order_.end(); victim != order_.begin();) {
        --victim;
        if (victim->second.use_count() > 1)
            continue;
        entries_.erase(victim->first);
        order_.erase(victim);
        return;
    }
}

void BlockCache::put(std::uint64_t index, BlockRef block) {
    if (const auto entry = entries_.find(index); entry != entries_.end()) {
        entry->second->second = std::move(block);
        return;
    }
    if (order_.size() >= capacity_)
        make_way();
    order_.emplace_front(index, std::move(block));
    entries_[index] = order_.begin();
}

BlockRef BlockCache::make() { return std::make_shared<Block>(memory_); }

std::vector<std::pair<std::uint64_t, BlockRef>> BlockCache::newest(std::size_t count) const {
    std::vector<std::pair<std::uint64_t, BlockRef>> found;
    for (auto entry = order_.begin(); entry != order_.end() && found.size() < count; ++entry)
        if (entry->second->valid != 0)
            found.push_back(*entry);
    return found;
}

std::uint64_t BlockCache::bytes_held() const {
    std::uint64_t granules = 0;
    for (const auto& [index, block] : order_)
        granules += static_cast<std::uint64_t>(std::popcount(block->valid));
    return granules * granule_size;
}

} // namespace lom::media
