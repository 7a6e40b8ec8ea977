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
#include <string>
#include <unordered_map>
#include <vector>

namespace lom::media {

/// The errno by which QEMU holds the guest; with any other it gives the guest an error
/// (rerror=enospc of its drive).
constexpr int hold_errno = 28; // ENOSPC

/// In a file that lom-media writes and lom-keep reads. A lom-media that follows a dead one uses the
/// same file, so it speaks to that one's lom-keep too. All zero: hold for ever.
struct HoldPolicy {
    std::atomic<bool> let_go;
    std::atomic<std::int64_t> seconds; ///< to hold from lom-media's death on; 0: no limit
};

/// In memory that lom-media writes and lom-keep reads.
struct KeeperNotes {
    static constexpr std::size_t most_reads = 1024;
    std::atomic<std::uint64_t> newest{0};                       ///< number of a read
    std::array<std::atomic<std::uint64_t>, most_reads> reads{}; ///< under way; 0: none
};

class Keeper {
  public:
    /// Starts lom-keep from the folder that this program is in.
    static Result<std::unique_ptr<Keeper>> start(const std::string& policy_file);
    ~Keeper();

    void inherit(int fuse_fd);
    /// False: too many are under way, and this one is not noted.
    bool began(const void* read, std::uint64_t unique);
    void ended(const void* read);
    void follow_policy(bool hold, std::chrono::seconds limit);

  private:
    Keeper(HoldPolicy* policy, KeeperNotes* notes, UniqueFd line);

    HoldPolicy* policy_;
    KeeperNotes* notes_;
    UniqueFd line_; ///< its end tells lom-keep that we are gone
    std::unordered_map<const void*, std::size_t> noted_;
    std::vector<std::size_t> free_;
};

/// What start() hands to lom-keep.
struct KeeperFds {
    static constexpr int policy = 3, notes = 4, line = 5;
};

} // namespace lom::media
