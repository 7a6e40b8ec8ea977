// The service processor's own images: plain files in one folder, each known by its name. The folder
// is the truth, and is looked at anew whenever somebody asks; checksums are computed in the
// background and kept in an index beside it. Knows nothing of hosts or of the tree; it never opens
// an image for writing. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "kvms/library/digester.h"

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lom::kvms {

struct LibraryPlace {
    std::string folder; ///< D/media
    std::string index;  ///< D/media.json
    /// Needs root: user of who puts images there, and group of who may read them. Absent: ours.
    std::optional<uid_t> account;
};

struct LibraryImage {
    std::string name;
    std::uint64_t size = 0;
    std::int64_t modified = 0; ///< seconds since 1970
    std::string sha256;        ///< empty: being computed
    std::string volume_id;     ///< of an ISO 9660 image
    std::vector<std::string> users;
};

class Library {
  public:
    static constexpr std::size_t most_images = 1000;

    Library(Loop& loop, LibraryPlace place, std::function<void()> changed);

    /// Makes the folder, and cleans up what an earlier lomd left behind.
    Result<void> open();
    const LibraryPlace& place() const { return place_; }

    std::vector<LibraryImage> images();
    Result<LibraryImage> find(const std::string& name);
    std::string path_of(const std::string& name) const { return place_.folder + "/" + name; }
    /// Letters, digits, '.', '_', '+' and '-'; not a '.' or '-' in front.
    static Result<void> check_name(const std::string& name);
    /// Whether an image of this name could come.
    Result<void> check_free(const std::string& name) const;

    // -- room

    void set_quota(std::uint64_t bytes) { quota_ = bytes; }
    std::uint64_t used();
    /// Bytes that may still come: what quota and file system leave.
    std::uint64_t room();

    // -- changes; each is done when it returns

    /// Moves a complete file of the same file system into the library.
    Result<void> take_in(const std::string& file, const std::string& name);
    Result<void> rename(const std::string& from, const std::string& to);
    Result<void> remove(const std::string& name);
    /// A new folder, in the library's file system, for files on their way in.
    Result<std::string> make_staging();
    void drop_staging(const std::string& folder);

    // -- who uses an image: it stays as long as anybody does

    /// Only one may use what it writes; `writer` is then its user. Again with the same `user`: a
    /// change of mind.
    Result<void> claim(const std::string& name, const std::string& user, bool writable,
                       std::optional<uid_t> writer);
    void release(const std::string& user);

  private:
    struct Stamp { ///< another one: another content
        std::uint64_t inode = 0;
        std::uint64_t size = 0;
        std::int64_t seconds = 0;
        std::int64_t nanoseconds = 0;
        bool operator==(const Stamp&) const = default;
    };
    struct Entry {
        Stamp stamp;
        std::string sha256;
        std::string volume_id;
    };
    struct Claim {
        std::string name;
        bool writable = false;
    };

    void scan();
    void look_into(const std::string& name, const Stamp& stamp);
    void on_digest(const std::string& name, const Stamp& stamp, const std::string& sha256);
    std::optional<Stamp> stamp_of(const std::string& name) const;
    bool written(const std::string& name) const;
    Result<void> check_unused(const std::string& name, const char* deed) const;
    void seal(const std::string& path) const;
    void load_index();
    void save_index() const;

    Loop& loop_;
    LibraryPlace place_;
    std::function<void()> changed_;
    std::uint64_t quota_ = UINT64_MAX;
    std::map<std::string, Entry> entries_;
    std::map<std::string, Claim> claims_; ///< by user
    unsigned last_staging_ = 0;
    Digester digester_;
};

} // namespace lom::kvms
