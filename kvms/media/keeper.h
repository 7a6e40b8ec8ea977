// What is left when lom-media dies: lom-keep, a small process that holds the mount's descriptor too
// and touches it only then. It answers the reads that were under way, and those that still come,
// so that QEMU holds its guest until a new lom-media has taken the file over; without it the kernel
// would fail them, and the guest would see errors. This is lom-media's side. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace lom::media {

/// The errno by which QEMU holds the guest; with any other it gives the guest an error
/// (rerror=enospc of its drive).
constexpr int hold_errno = 28; // ENOSPC

/// In memory that lom-media writes and lom-keep reads.
struct KeeperNotes {
    static constexpr std::size_t most_reads = 1024;
    std::atomic<bool> hold{true};
    std::atomic<std::int64_t> hold_seconds{0}; ///< from lom-media's death on; 0: for ever
    std::atomic<bool> dismissed{false};        ///< nobody is to be held: the medium is ejected
    std::atomic<std::uint64_t> newest{0};      ///< number of a read
    std::array<std::atomic<std::uint64_t>, most_reads> reads{}; ///< under way; 0: none
};

class Keeper {
  public:
    /// Starts lom-keep from the folder that this program is in.
    static Result<std::unique_ptr<Keeper>> start();
    ~Keeper();

    void inherit(int fuse_fd);
    /// False: too many are under way, and this one is not noted.
    bool began(const void* read, std::uint64_t unique);
    void ended(const void* read);
    void follow_policy(bool hold, std::chrono::seconds limit);
    void dismiss();

  private:
    Keeper(KeeperNotes* notes, UniqueFd line);

    KeeperNotes* notes_;
    UniqueFd line_; ///< its end tells lom-keep that we are gone
    std::unordered_map<const void*, std::size_t> noted_;
    std::vector<std::size_t> free_;
};

/// lom-keep's life: its own side of the above. `notes_fd` and `line_fd` come from start().
int keep(int notes_fd, int line_fd);

} // namespace lom::media
