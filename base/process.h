// Starting helpers and QEMU, and knowing them again after a restart. Loop thread.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lom {

struct SpawnOptions {
    std::vector<std::string> argv;        ///< argv[0] is the program, found in PATH if bare
    std::vector<std::pair<int, int>> fds; ///< (fd here, number in the child); all others close
    std::string stderr_path;              ///< appended to; empty: inherited
    std::optional<uid_t> uid;             ///< with gid: drops to this user, no capabilities
    std::optional<gid_t> gid;
    std::vector<gid_t> groups;
    /// What of our capabilities a child keeps that is not root: CAP_* of capabilities(7).
    std::vector<int> capabilities;
    bool new_session = true;              ///< setsid: outlives our terminal
    bool controlling_terminal = false;    ///< with new_session: descriptor 0 becomes its terminal
    std::vector<std::string> environment; ///< NAME=VALUE, all there is; empty: ours
    bool no_new_privs = true;
    std::string working_dir = "/";
    /// Folders as descriptors, which reach what lies in them though the child's user may not pass
    /// through the folders above: argv[0] is a name in the first, the second is the working folder.
    int program_folder = -1;
    int working_folder = -1;
};

/// A process that can be told from a later one with the same pid.
struct ProcessId {
    pid_t pid = 0;
    std::uint64_t start_time = 0; ///< field 22 of /proc/PID/stat, clock ticks since boot
};

/// Whether we may do what this CAP_* allows, as root or by the unit's AmbientCapabilities=.
bool has_capability(int capability);
/// The child gets the user nobody, if we may give it another user.
void run_as_nobody(SpawnOptions& options);

/// fork + exec; faults carry the reason exec failed (read back over a close-on-exec pipe).
Result<ProcessId> spawn(const SpawnOptions& options);
/// nullopt when there is no such process (zombies count as gone).
std::optional<std::uint64_t> start_time_of(pid_t pid);
bool is_alive(const ProcessId& process);
/// Signals exactly this process (through a pidfd), never a later one with its number.
bool send_signal(const ProcessId& process, int signal);

} // namespace lom
