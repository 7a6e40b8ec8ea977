#include "kvms/media/engine/disk_store.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace lom::media {

namespace {

/// Also says how the file is laid out: this, the table, padding, the blocks.
constexpr std::string_view magic = "OpenLOM image cache 1\n";
constexpr std::uint64_t table_at = 4096;
constexpr const char* suffix = ".blocks";
constexpr std::size_t most_waiting = 64; ///< blocks that wait to be written; more are let go
constexpr std::uint64_t most_blocks = std::uint64_t{1} << 24U; // 2 TiB of image

std::uint64_t data_at(std::uint64_t blocks) {
    const std::uint64_t end = table_at + blocks * sizeof(std::uint64_t);
    return (end + block_size - 1) / block_size * block_size;
}

/// What the image is, in the file's name and in every checksum.
XXH128_hash_t key_of(const std::string& uri, const ImageFacts& facts) {
    const std::string text =
        uri + '\n' + std::to_string(facts.size) + '\n' + std::to_string(facts.modified);
    return XXH3_128bits(text.data(), text.size());
}

std::string name_of(const XXH128_hash_t& key) {
    std::array<char, 33> text{};
    snprintf(text.data(), text.size(), "%016lx%016lx", key.high64, key.low64);
    return std::string(text.data()) + suffix;
}

bool read_all(int fd, void* to, std::size_t size, std::uint64_t offset) {
    auto* bytes = static_cast<char*>(to);
    while (size > 0) {
        const ssize_t count = pread(fd, bytes, size, static_cast<off_t>(offset));
        if (count <= 0)
            return false;
        bytes += count;
        size -= static_cast<std::size_t>(count);
        offset += static_cast<std::uint64_t>(count);
    }
    return true;
}

bool write_all(int fd, const void* from, std::size_t size, std::uint64_t offset) {
    const auto* bytes = static_cast<const char*>(from);
    while (size > 0) {
        const ssize_t count = pwrite(fd, bytes, size, static_cast<off_t>(offset));
        if (count <= 0)
            return false;
        bytes += count;
        size -= static_cast<std::size_t>(count);
        offset += static_cast<std::uint64_t>(count);
    }
    return true;
}

struct OldFile {
    std::filesystem::path path;
    std::uint64_t bytes = 0;
    timespec used{};
};

std::vector<OldFile> other_files(const std::string& folder, const std::string& ours) {
    std::vector<OldFile> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        struct stat facts {};
        if (entry.path().extension() == suffix && entry.path().filename() != ours &&
            lstat(entry.path().c_str(), &facts) == 0 && S_ISREG(facts.st_mode))
            found.push_back(
                {entry.path(), static_cast<std::uint64_t>(facts.st_blocks) * 512, facts.st_mtim});
    }
    std::sort(found.begin(), found.end(), [](const OldFile& a, const OldFile& b) {
        return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
    });
    return found;
}

/// A file in use stays.
bool remove_unused(const std::filesystem::path& path) {
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    return file && flock(file.get(), LOCK_EX | LOCK_NB) == 0 && unlink(path.c_str()) == 0;
}

/// Bytes left for our file once the oldest others have given way.
std::uint64_t make_room(const DiskStore::Settings& settings, const std::string& ours,
                        std::uint64_t wanted) {
    std::vector<OldFile> others = other_files(settings.folder, ours);
    std::uint64_t used = 0;
    for (const OldFile& file : others)
        used += file.bytes;
    for (const OldFile& file : others) {
        if (used + wanted <= settings.most_bytes)
            break;
        if (remove_unused(file.path))
            used -= file.bytes;
    }
    return settings.most_bytes - std::min(used, settings.most_bytes);
}

} // namespace

struct DiskStore::Writer {
    UniqueFd file;
    std::uint64_t data = 0; ///< where block 0 lies
    bool gone = false;      ///< the DiskStore; loop thread
    /// Being written; loop thread, the pool only reads their bytes.
    std::unordered_map<std::uint64_t, BlockRef> waiting;

    bool write(std::uint64_t index, std::uint32_t length, const char* bytes,
               std::uint64_t sum) const {
        return write_all(file.get(), bytes, length, data + index * block_size) &&
               write_all(file.get(), &sum, sizeof(sum), table_at + index * sizeof(sum));
    }
};

Result<std::unique_ptr<DiskStore>> DiskStore::open(Loop& loop, const Settings& settings,
                                                   const std::string& uri,
                                                   const ImageFacts& facts) {
    const std::uint64_t blocks = (facts.size + block_size - 1) / block_size;
    if (blocks > most_blocks)
        return Fault{FaultKind::usage, "The image is too large for the disk cache."};
    const XXH128_hash_t key = key_of(uri, facts);
    const std::string name = name_of(key);
    const std::uint64_t wanted = data_at(blocks) + blocks * block_size;
    const std::uint64_t room = make_room(settings, name, wanted);
    const std::string path = settings.folder + "/" + name;
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file)
        return Fault{FaultKind::unavailable,
                     "The disk cache " + path + " cannot be opened: " + std::strerror(errno) + "."};
    if (flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        return Fault{FaultKind::unavailable, "Another reader of this image uses its disk cache."};
    const std::uint64_t overhead = data_at(blocks);
    const std::uint64_t capacity = room > overhead ? (room - overhead) / block_size : 0;
    std::unique_ptr<DiskStore> store(
        new DiskStore(loop, std::move(file), key.low64 ^ key.high64, blocks, capacity));
    if (const auto read = store->read_table(); !read)
        return read.fault();
    return store;
}

DiskStore::DiskStore(Loop& loop, UniqueFd file, std::uint64_t seed, std::uint64_t blocks,
                     std::uint64_t capacity)
    : loop_(loop), writer_(std::make_shared<Writer>()), seed_(seed), capacity_(capacity),
      table_(blocks) {
    writer_->file = std::move(file);
    writer_->data = data_at(blocks);
}

DiskStore::~DiskStore() {
    writer_->gone = true;
    flock(writer_->file.get(), LOCK_UN); // the pool may hold the file a moment longer
}

Result<void> DiskStore::read_table() {
    const int fd = writer_->file.get();
    futimens(fd, nullptr); // the most recently used
    std::array<char, magic.size()> start{};
    const std::size_t size = table_.size() * sizeof(table_[0]);
    if (!read_all(fd, start.data(), start.size(), 0) ||
        std::string_view(start.data(), start.size()) != magic ||
        !read_all(fd, table_.data(), size, table_at)) {
        std::fill(table_.begin(), table_.end(), 0);
        if (ftruncate(fd, 0) != 0 || ftruncate(fd, static_cast<off_t>(writer_->data)) != 0 ||
            !write_all(fd, magic.data(), magic.size(), 0))
            return Fault{FaultKind::unavailable, std::string("The disk cache cannot be written: ") +
                                                     std::strerror(errno) + "."};
    }
    held_ = static_cast<std::uint64_t>(
        std::count_if(table_.begin(), table_.end(), [](auto sum) { return sum != 0; }));
    return {};
}

bool DiskStore::has(std::uint64_t index) const {
    return index < table_.size() && table_[index] != 0;
}

std::vector<std::uint64_t> DiskStore::samples(std::size_t count) const {
    std::vector<std::uint64_t> found;
    const std::size_t step =
        std::max<std::size_t>(table_.size() / std::max<std::size_t>(count, 1), 1);
    for (std::size_t part = 0; part < table_.size() && found.size() < count; part += step)
        for (std::size_t i = part; i < std::min(part + step, table_.size()); ++i)
            if (table_[i] != 0) {
                found.push_back(i);
                break;
            }
    return found;
}

/// Never 0, which means that there is none.
std::uint64_t DiskStore::checksum(std::uint64_t index, std::uint32_t length,
                                  const char* bytes) const {
    return XXH3_64bits_withSeed(bytes, length, seed_ + index) | 1U;
}

void DiskStore::forget(std::uint64_t index) {
    if (table_[index] != 0)
        --held_;
    table_[index] = 0;
}

bool DiskStore::load(std::uint64_t index, std::uint32_t length, Block& block) {
    if (!has(index))
        return false;
    if (read_all(writer_->file.get(), block.bytes, length, writer_->data + index * block_size) &&
        checksum(index, length, block.bytes) == table_[index])
        return true;
    forget(index);
    return false;
}

void DiskStore::save(std::uint64_t index, std::uint32_t length, const BlockRef& block) {
    if (index >= table_.size() || has(index) || writer_->waiting.size() >= most_waiting ||
        held_ + writer_->waiting.size() >= capacity_ ||
        !writer_->waiting.emplace(index, block).second)
        return;
    const char* const bytes = block->bytes;
    const std::uint64_t sum = checksum(index, length, bytes);
    auto written = std::make_shared<bool>(false);
    loop_.in_pool([writer = writer_, index, length, bytes, sum,
                   written] { *written = writer->write(index, length, bytes, sum); },
                  [this, writer = writer_, index, sum, written] {
                      writer->waiting.erase(index);
                      if (!writer->gone)
                          saved(index, *written ? sum : 0);
                  });
}

void DiskStore::saved(std::uint64_t index, std::uint64_t sum) {
    if (sum == 0) {
        capacity_ = 0; // the disk is full or broken: what is there may still be read
        return;
    }
    table_[index] = sum;
    ++held_;
}

/// Before anything is saved by this process: nothing of the other image may come after it.
void DiskStore::discard() {
    std::fill(table_.begin(), table_.end(), 0);
    held_ = 0;
    std::vector<std::uint64_t> empty(table_.size());
    if (!write_all(writer_->file.get(), empty.data(), empty.size() * sizeof(empty[0]), table_at))
        capacity_ = 0;
}

} // namespace lom::media
