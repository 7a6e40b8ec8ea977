#include "base/own_root.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace lom {

namespace {

constexpr const char* site = "/mnt"; // any folder that every system has; hidden in our namespace

bool put(const std::string& place) {
    const std::string here = site + place;
    struct stat found {};
    if (lstat(place.c_str(), &found) != 0)
        return true;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(here).parent_path(), error);
    if (S_ISLNK(found.st_mode)) {
        std::filesystem::copy_symlink(place, here, error);
        return !error;
    }
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID;
    if (S_ISDIR(found.st_mode)) {
        std::filesystem::create_directories(here, error);
        flags |= MS_NODEV;
    } else {
        (void)UniqueFd(open(here.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    }
    if (mount(place.c_str(), here.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
        return false;
    // Where it is not ours to do, its files are root's anyway.
    (void)mount(nullptr, here.c_str(), nullptr, flags, nullptr);
    return true;
}

/// The new root in place of the old one, which nothing of ours holds any longer.
bool swap_roots() {
    return chdir(site) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
           umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

} // namespace

bool enter_own_root(std::span<const char* const> places) {
    if (unshare(CLONE_NEWNS) != 0)
        return false;
    // What is unmounted outside is unmounted here too, until the last step has been taken.
    if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0 ||
        mount("none", site, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755") != 0)
        return false;
    const mode_t before = umask(022); // other users than the one who builds it live there
    const bool built = std::all_of(places.begin(), places.end(), put);
    umask(before);
    if (built && swap_roots()) {
        (void)mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
                    "size=64k,mode=755");
        return true;
    }
    umount2(site, MNT_DETACH);
    return false;
}

} // namespace lom
