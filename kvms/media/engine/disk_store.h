// The disk cache: one sparse file for each image, named by a hash of its URI, size and time, so
// that a lom-media that is started again (or whose host inserts the same image again) need not
// fetch it again. Each block has its checksum in a table at the front, written after the block: a
// torn or damaged file costs blocks, never gives a wrong byte. One process at a time uses a file;
// another one goes without. Old images' files give way when the folder's bound would be passed.
//
// Loop thread only. Blocks are written in the loop's pool; they are read at once, as local files
// are.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "kvms/media/engine/block_store.h"
#include "kvms/media/engine/source.h"

#include <memory>
#include <string>
#include <vector>

namespace lom::media {

class DiskStore final : public BlockStore {
  public:
    struct Settings {
        std::string folder; ///< exists, nobody else may write there
        std::uint64_t most_bytes = 0;
    };

    static Result<std::unique_ptr<DiskStore>> open(Loop& loop, const Settings& settings,
                                                   const std::string& uri, const ImageFacts& facts);
    ~DiskStore() override;

    bool has(std::uint64_t index) const override;
    std::vector<std::uint64_t> samples(std::size_t count) const override;
    bool load(std::uint64_t index, std::uint32_t length, Block& block) override;
    void save(std::uint64_t index, std::uint32_t length, const BlockRef& block) override;
    std::uint64_t capacity() const override { return capacity_; }
    void discard() override;

  private:
    struct Writer; // what the pool works on, outlives us if need be

    DiskStore(Loop& loop, UniqueFd file, std::uint64_t seed, std::uint64_t blocks,
              std::uint64_t capacity);
    Result<void> read_table();
    std::uint64_t checksum(std::uint64_t index, std::uint32_t length, const char* bytes) const;
    void forget(std::uint64_t index);
    void saved(std::uint64_t index, std::uint64_t sum);

    Loop& loop_;
    std::shared_ptr<Writer> writer_;
    std::uint64_t seed_;
    std::uint64_t capacity_;
    std::uint64_t held_ = 0;
    std::vector<std::uint64_t> table_; ///< checksums; 0: not here
};

} // namespace lom::media
