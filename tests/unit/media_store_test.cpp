// The disk cache: blocks outlive the store, damage never gives a wrong byte, the bound holds.
#include "kvms/media/engine/disk_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

namespace lom::media {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class DiskStoreTest : public testing::Test {
  protected:
    DiskStoreTest() {
        std::string name = (fs::temp_directory_path() / "lom-store-XXXXXX").string();
        folder_ = mkdtemp(name.data());
    }
    ~DiskStoreTest() override { fs::remove_all(folder_); }

    std::unique_ptr<DiskStore> open(const std::string& uri = "sshfs://h:/a.iso",
                                    std::int64_t modified = 1) {
        auto store =
            DiskStore::open(loop_, {folder_.string(), bound_}, uri, {image_.size(), modified});
        EXPECT_TRUE(store) << (store ? "" : store.fault().message);
        return store ? std::move(*store) : nullptr;
    }
    std::uint32_t length(std::uint64_t index) const {
        return static_cast<std::uint32_t>(std::min(block_size, image_.size() - index * block_size));
    }
    void save(DiskStore& store, std::uint64_t index) {
        BlockRef block = cache_.make();
        std::memcpy(block->bytes, image_.data() + index * block_size, length(index));
        store.save(index, length(index), block);
        loop_.run_until([&] { return store.has(index); }, 2s);
    }
    bool loads_right(DiskStore& store, std::uint64_t index) {
        const BlockRef block = cache_.make();
        if (!store.load(index, length(index), *block))
            return false;
        EXPECT_EQ(std::memcmp(block->bytes, image_.data() + index * block_size, length(index)), 0);
        return true;
    }
    fs::path file() const { return fs::directory_iterator(folder_)->path(); }

    static std::string random_bytes(std::size_t size) {
        std::mt19937 dice(5);
        std::string bytes(size, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(dice());
        return bytes;
    }

    fs::path folder_;
    Loop loop_;
    std::uint64_t bound_ = std::uint64_t{1} << 30U;
    std::string image_ = random_bytes(6 * block_size + 777);
    BlockCache cache_{64 * block_size};
};

TEST_F(DiskStoreTest, BlocksOutliveTheStore) {
    auto store = open();
    EXPECT_FALSE(store->has(3));
    for (const std::uint64_t index : {0U, 3U, 6U})
        save(*store, index);
    store = nullptr;
    store = open();
    EXPECT_EQ(store->samples(4), (std::vector<std::uint64_t>{0, 3, 6}));
    EXPECT_TRUE(loads_right(*store, 3));
    EXPECT_TRUE(loads_right(*store, 6)) << "the last one is shorter";
    EXPECT_FALSE(loads_right(*store, 1));
}

TEST_F(DiskStoreTest, AnotherTimeOrUriIsAnotherFile) {
    save(*open(), 2);
    EXPECT_FALSE(open("sshfs://h:/a.iso", 2)->has(2));
    EXPECT_FALSE(open("sshfs://h:/b.iso")->has(2));
    EXPECT_TRUE(open()->has(2));
}

TEST_F(DiskStoreTest, OneProcessAtATime) {
    const auto store = open();
    EXPECT_FALSE(
        DiskStore::open(loop_, {folder_.string(), bound_}, "sshfs://h:/a.iso", {image_.size(), 1}));
}

TEST_F(DiskStoreTest, DamageNeverGivesAWrongByte) {
    auto store = open();
    for (std::uint64_t index = 0; index < 7; ++index)
        save(*store, index);
    store = nullptr;
    const auto size = fs::file_size(file());
    std::mt19937 dice(9);
    int lost = 0;
    for (int round = 0; round < 200; ++round) {
        {
            std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
            bytes.seekp(static_cast<std::streamoff>(dice() % size));
            const std::string noise = random_bytes(1 + dice() % 3000);
            bytes.write(noise.data(), static_cast<std::streamsize>(noise.size()));
        }
        if (dice() % 5 == 0)
            fs::resize_file(file(), dice() % size);
        store = open();
        for (std::uint64_t index = 0; index < 7; ++index) {
            if (loads_right(*store, index))
                continue;
            ++lost;
            save(*store, index); // and goes on
        }
        store = nullptr;
    }
    EXPECT_GT(lost, 50);
}

TEST_F(DiskStoreTest, OldFilesGiveWay) {
    bound_ = 16 * block_size;
    auto store = open("one");
    for (std::uint64_t index = 0; index < 7; ++index)
        save(*store, index);
    store = nullptr;
    auto second = open("two");
    for (std::uint64_t index = 0; index < 7; ++index)
        save(*second, index);
    EXPECT_TRUE(second->has(6));
    auto third = open("three");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2)
        << "the oldest has gone, the one in use has not";
    EXPECT_EQ(open("one")->samples(1).size(), 0U);
    save(*third, 1);
}

TEST_F(DiskStoreTest, TheBoundHolds) {
    bound_ = 4 * block_size;
    const auto store = open();
    int held = 0;
    for (std::uint64_t index = 0; index < 7; ++index) {
        BlockRef block = cache_.make();
        store->save(index, length(index), block);
        loop_.run_until([&] { return store->has(index); }, 50ms);
        held += store->has(index) ? 1 : 0;
    }
    EXPECT_EQ(held, 3);
}

TEST_F(DiskStoreTest, WhatIsDiscardedStaysAway) {
    auto store = open();
    save(*store, 1);
    store->discard();
    EXPECT_FALSE(store->has(1));
    store = nullptr;
    EXPECT_FALSE(open()->has(1));
}

} // namespace
} // namespace lom::media
