#include "shell/ssh/reach.h"

#include "base/fd.h"
#include "base/sanitized.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace lom::shell {

namespace {

constexpr std::uint64_t look = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t run = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t write_file = LANDLOCK_ACCESS_FS_WRITE_FILE;
/// All that the first version of Landlock knows.
constexpr std::uint64_t everything = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1U) - 1;

struct Place {
    const char* path;
    std::uint64_t rights;
};
constexpr Place places[] = {
    {"/lib", look | run}, // the dynamic linker is a program
    {"/lib64", look | run},
    {"/usr/lib", look | run},
    {"/usr/lib64", look | run},
    {"/usr/local/lib", look | run},
    {"/usr/share/terminfo", look},
    {"/etc/terminfo", look},
    {"/etc/ld.so.cache", LANDLOCK_ACCESS_FS_READ_FILE},
    {"/proc", look},
    {"/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | write_file},
    {"/dev/tty", LANDLOCK_ACCESS_FS_READ_FILE | write_file},
    {"/dev/ptmx", LANDLOCK_ACCESS_FS_READ_FILE | write_file},
    {"/dev/pts", look | write_file},
    {"/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE},
};

bool allow(int ruleset, int place, std::uint64_t rights) {
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights;
    rule.parent_fd = place;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

Fault broken() {
    return {FaultKind::internal,
            std::string("Landlock refuses its rules: ") + std::strerror(errno)};
}

} // namespace

Result<void> limit_reach(int program_folder) {
    if (sanitized)
        return {};
    landlock_ruleset_attr attributes{};
    attributes.handled_access_fs = everything;
    const UniqueFd ruleset(
        static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0)));
    if (!ruleset)
        return errno == ENOSYS || errno == EOPNOTSUPP ? Result<void>() : broken();
    if (!allow(ruleset.get(), program_folder, look | run))
        return broken();
    for (const Place& place : places) {
        const UniqueFd fd(open(place.path, O_PATH | O_CLOEXEC));
        if (fd && !allow(ruleset.get(), fd.get(), place.rights)) // not every system has all
            return broken();
    }
    if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
        return broken();
    return {};
}

} // namespace lom::shell
