// The console's log: QEMU and the SP append, readers read by offset, old blocks are punched out at
// the front and room for new ones is reserved behind the end. Loop thread only; the calls touch the
// page cache and do not wait for the disk. It never moves or truncates a byte.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lom::kvms {

class LogFile {
  public:
    /// Holes are made, and room is reserved, in steps of this size: few system calls, and a
    /// multiple of every file system's block, so that a hole begins and ends where it was asked to.
    static constexpr std::uint64_t step = 1U << 20U;

    enum class Space {
        reserved, ///< the next bytes fit whatever else fills the disk
        full,     ///< only what was reserved before fits
        unknown,  ///< the file system cannot reserve
    };

    static Result<LogFile> open(const std::string& path);

    const std::string& path() const { return path_; }
    std::uint64_t start() const { return start_; }
    std::uint64_t end() const;
    /// Bytes from `offset` on, at most buffer.size(); less only at the end of the file.
    std::size_t read(std::uint64_t offset, std::span<char> buffer) const;
    Result<void> append(std::string_view text);

    /// Gives blocks back until about `keep` bytes remain (between `keep` and `keep` + step).
    Result<void> trim(std::uint64_t keep);
    /// Keeps between half a step and two steps of disk allocated behind the end.
    Space reserve();
    /// First byte that has no disk reserved for it.
    std::uint64_t reserved_end() const { return reserved_end_; }

  private:
    LogFile(std::string path, UniqueFd fd);

    std::string path_;
    UniqueFd fd_;
    std::uint64_t start_ = 0;
    std::uint64_t reserved_end_ = 0;
};

} // namespace lom::kvms
