// What lom-media needs root for, in a process of its own that never sees a byte from a stranger:
// mounting, its read-ahead, and unmounting, the file of a file: image, starting the readers, and
// the known host keys. Everything it may touch is named before the fork; an order is one letter. It
// ends with its lom-media. This is lom-media's side; one thread. A call waits for its answer, which
// takes no longer than the deed itself.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "kvms/media/sources/uri.h"

#include <string>
#include <string_view>

namespace lom::media {

class Steward {
  public:
    struct Domain {
        ImageUri uri;
        std::string mount_point;    ///< from prepare_mount_point()
        std::string mount_options;  ///< of FUSE, without the descriptor
        std::string known_hosts;    ///< path; empty: no host key is remembered
        std::string allowed_folder; ///< of file: images
        std::string reader;         ///< path of the program that reads such URIs; empty: none
    };
    struct Reader {
        UniqueFd link;    ///< its standard input
        UniqueFd process; ///< to end it by
    };

    /// Forks; call it before there are threads, secrets, or descriptors that must end with us.
    static Result<Steward> start(Domain domain);

    Result<UniqueFd> mount(); ///< the descriptor of /dev/fuse
    void unmount();           ///< lazily
    /// Has the kernel read the mount in pieces of twice the usual size, by whoever opens it later.
    void read_wider();
    /// Faults: not_found, wrong_state (it is no file), denied.
    Result<UniqueFd> open_file();
    Result<Reader> start_reader();
    /// The remembered host keys, in memory.
    Result<UniqueFd> known_hosts();
    /// Remembers one more of the URI's host: a line as libssh writes it.
    Result<void> remember_host(std::string_view line);

  private:
    struct Answer;
    explicit Steward(UniqueFd line) : line_(std::move(line)) {}
    Answer ask(char order, std::string_view text = {});

    UniqueFd line_;
};

} // namespace lom::media
