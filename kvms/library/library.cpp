#include "kvms/library/library.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "kvms/library/iso_header.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

namespace json = boost::json;

namespace lom::kvms {

namespace {

constexpr std::size_t longest_name = 128;
constexpr std::uint64_t left_free = std::uint64_t{256} << 20U; // disks and settings lie there too
constexpr mode_t sealed = 0440; // also for ourselves: nothing writes into an image by mistake
const char* const staging_folder = "/.incoming";

struct FolderCloser {
    void operator()(DIR* folder) const { closedir(folder); }
};

bool same_ignoring_case(const std::string& a, const std::string& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

Fault system_fault(const std::string& what) {
    return {FaultKind::internal, what + ": " + std::strerror(errno) + "."};
}

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes >> 20U) + " MB"; }

} // namespace

Library::Library(Loop& loop, LibraryPlace place, std::function<void()> changed)
    : loop_(loop), place_(std::move(place)), changed_(std::move(changed)), digester_(loop) {}

Result<void> Library::open() {
    std::error_code ignored;
    std::filesystem::remove_all(place_.folder + staging_folder, ignored);
    for (const std::string& folder : {place_.folder, place_.folder + staging_folder}) {
        if (const auto made = make_directories(folder, 0711); !made)
            return made;
        if (place_.account && chown(folder.c_str(), geteuid(), *place_.account) < 0)
            return system_fault("Cannot give " + folder + " to its group");
        chmod(folder.c_str(), place_.account ? 0710 : 0700);
    }
    load_index();
    scan();
    return {};
}

Result<void> Library::check_name(const std::string& name) {
    const bool fine = !name.empty() && name.size() <= longest_name && name[0] != '.' &&
                      name[0] != '-' && std::all_of(name.begin(), name.end(), [](char c) {
                          return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                 std::string_view("._+-").find(c) != std::string_view::npos;
                      });
    if (!fine)
        return Fault{FaultKind::invalid_value,
                     "An image's name has letters, digits, '.', '_', '+' and '-', 128 at most, and "
                     "begins with a letter or digit."};
    return {};
}

// -- what is there

std::optional<Library::Stamp> Library::stamp_of(const std::string& name) const {
    struct stat facts {};
    if (lstat(path_of(name).c_str(), &facts) < 0 || !S_ISREG(facts.st_mode))
        return std::nullopt;
    return Stamp{facts.st_ino, static_cast<std::uint64_t>(facts.st_size), facts.st_mtim.tv_sec,
                 facts.st_mtim.tv_nsec};
}

void Library::scan() {
    const std::unique_ptr<DIR, FolderCloser> folder(opendir(place_.folder.c_str()));
    if (!folder)
        return;
    std::map<std::string, Stamp> found;
    while (const dirent* entry = readdir(folder.get())) { // NOLINT: this thread's folder
        const std::string name = entry->d_name;
        if (found.size() < most_images && check_name(name))
            if (const auto stamp = stamp_of(name))
                found[name] = *stamp;
    }
    const auto gone =
        std::erase_if(entries_, [&](const auto& entry) { return !found.contains(entry.first); });
    bool changed = gone > 0;
    for (const auto& [name, stamp] : found) {
        const auto known = entries_.find(name);
        if (known != entries_.end() && known->second.stamp == stamp)
            continue;
        look_into(name, stamp);
        changed = true;
    }
    if (changed)
        save_index();
}

void Library::look_into(const std::string& name, const Stamp& stamp) {
    Entry& entry = entries_[name] = {stamp, "", ""};
    entry.volume_id = read_iso_header(path_of(name)).volume_id;
    if (written(name))
        return; // looked at when it is written no more
    seal(path_of(name));
    digester_.add(path_of(name), [this, name, stamp](const std::optional<std::string>& sha256) {
        if (sha256)
            on_digest(name, stamp, *sha256);
    });
}

void Library::on_digest(const std::string& name, const Stamp& stamp, const std::string& sha256) {
    const auto known = entries_.find(name);
    if (known == entries_.end() || known->second.stamp != stamp || stamp_of(name) != stamp)
        return;
    known->second.sha256 = sha256;
    save_index();
    changed_();
}

std::vector<LibraryImage> Library::images() {
    scan();
    std::vector<LibraryImage> images;
    for (const auto& [name, entry] : entries_) {
        LibraryImage image{name,         entry.stamp.size, entry.stamp.seconds,
                           entry.sha256, entry.volume_id,  {}};
        for (const auto& [user, claim] : claims_)
            if (claim.name == name)
                image.users.push_back(user);
        images.push_back(std::move(image));
    }
    return images;
}

Result<LibraryImage> Library::find(const std::string& name) {
    for (LibraryImage& image : images())
        if (same_ignoring_case(image.name, name))
            return std::move(image);
    return Fault{FaultKind::not_found, "There is no image " + name + " in the library."};
}

// -- room

std::uint64_t Library::used() {
    std::uint64_t sum = 0;
    for (const auto& [name, entry] : entries_)
        sum += entry.stamp.size;
    return sum;
}

std::uint64_t Library::room() {
    scan();
    struct statvfs facts {};
    std::uint64_t free = 0;
    if (statvfs(place_.folder.c_str(), &facts) == 0)
        free = std::uint64_t{facts.f_bavail} * facts.f_frsize;
    return std::min(quota_ - std::min(quota_, used()), free - std::min(free, left_free));
}

// -- changes

/// Whoever put it there has no hand on it any more.
void Library::seal(const std::string& path) const {
    if (place_.account)
        (void)!chown(path.c_str(), geteuid(), *place_.account);
    chmod(path.c_str(), sealed);
}

Result<void> Library::check_free(const std::string& name) const {
    if (const auto fine = check_name(name); !fine)
        return fine;
    for (const auto& [known, entry] : entries_)
        if (same_ignoring_case(known, name))
            return Fault{FaultKind::wrong_state,
                         "The image " + known + " exists already; delete it first."};
    if (entries_.size() >= most_images)
        return Fault{FaultKind::wrong_state, "The library holds 1000 images already."};
    return {};
}

Result<void> Library::take_in(const std::string& file, const std::string& name) {
    scan();
    if (const auto fine = check_free(name); !fine)
        return fine;
    struct stat facts {};
    if (lstat(file.c_str(), &facts) < 0 || !S_ISREG(facts.st_mode))
        return Fault{FaultKind::invalid_value, name + " is not a regular file."};
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    if (const std::uint64_t left = quota_ - std::min(quota_, used()); size > left)
        return Fault{FaultKind::wrong_state, name + " does not fit: of the library's quota " +
                                                 megabytes(left) + " are left."};
    if (const std::uint64_t whole = read_iso_header(file).size; whole > size)
        return Fault{FaultKind::invalid_value,
                     name + " is cut short: it has " + std::to_string(size) + " of " +
                         std::to_string(whole) + " bytes. Copy it again."};
    seal(file);
    if (renameat2(AT_FDCWD, file.c_str(), AT_FDCWD, path_of(name).c_str(), RENAME_NOREPLACE) < 0)
        return system_fault("The image cannot be put into the library");
    scan();
    changed_();
    return {};
}

Result<void> Library::rename(const std::string& from, const std::string& to) {
    scan();
    if (const auto unused = check_unused(from, "renamed"); !unused)
        return unused;
    if (const auto fine = check_free(to); !fine)
        return fine;
    if (renameat2(AT_FDCWD, path_of(from).c_str(), AT_FDCWD, path_of(to).c_str(),
                  RENAME_NOREPLACE) < 0)
        return system_fault("The image cannot be renamed");
    scan();
    changed_();
    return {};
}

Result<void> Library::remove(const std::string& name) {
    if (const auto unused = check_unused(name, "deleted"); !unused)
        return unused;
    if (unlink(path_of(name).c_str()) < 0)
        return system_fault("The image cannot be deleted");
    scan();
    changed_();
    return {};
}

Result<std::string> Library::make_staging() {
    const std::string folder =
        place_.folder + staging_folder + "/" + std::to_string(++last_staging_);
    if (mkdir(folder.c_str(), 0700) < 0 ||
        (place_.account && chown(folder.c_str(), *place_.account, *place_.account) < 0))
        return system_fault("The library cannot take files in");
    return folder;
}

void Library::drop_staging(const std::string& folder) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}

// -- who uses what

bool Library::written(const std::string& name) const {
    return std::any_of(claims_.begin(), claims_.end(), [&](const auto& claim) {
        return claim.second.name == name && claim.second.writable;
    });
}

Result<void> Library::check_unused(const std::string& name, const char* deed) const {
    for (const auto& [user, claim] : claims_)
        if (claim.name == name)
            return Fault{FaultKind::busy, "The image " + name + " is in use by " + user +
                                              ", and cannot be " + deed + "; eject it first."};
    return {};
}

Result<void> Library::claim(const std::string& name, const std::string& user, bool writable,
                            std::optional<uid_t> writer) {
    release(user);
    for (const auto& [other, claim] : claims_)
        if (claim.name == name && (claim.writable || writable))
            return Fault{FaultKind::busy, "The image " + name + " is in use by " + other +
                                              (claim.writable ? ", which may write to it." : ".") +
                                              " What is written has one user only."};
    claims_[user] = {name, writable};
    const std::string path = path_of(name);
    if (writable && ((writer && chown(path.c_str(), *writer, place_.account.value_or(0)) < 0) ||
                     chmod(path.c_str(), 0640) < 0)) {
        const Fault fault = system_fault("The image cannot be made writable");
        release(user);
        return fault;
    }
    if (writable)
        entries_[name].sha256.clear();
    changed_();
    return {};
}

void Library::release(const std::string& user) {
    const auto found = claims_.find(user);
    if (found == claims_.end())
        return;
    const Claim claim = found->second;
    claims_.erase(found);
    if (claim.writable)
        entries_.erase(claim.name); // it is another one now
    changed_();
    scan();
}

// -- the index

void Library::load_index() {
    const auto text = read_file(place_.index);
    boost::system::error_code error;
    const json::value value = text ? json::parse(*text, error) : json::value();
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return;
    for (const auto& [name, member] : *object) {
        const json::object* known = member.if_object();
        if (known == nullptr || !check_name(std::string(name)))
            continue;
        const Stamp stamp{fields::number<std::uint64_t>(*known, "inode"),
                          fields::number<std::uint64_t>(*known, "size"),
                          fields::number<std::int64_t>(*known, "seconds"),
                          fields::number<std::int64_t>(*known, "nanoseconds")};
        Entry entry{stamp, fields::text(*known, "sha256"), fields::text(*known, "volume_id")};
        if (!entry.sha256.empty())
            entries_[std::string(name)] = std::move(entry);
    }
}

/// Only what is true for good: what is still to be computed is found out again.
void Library::save_index() const {
    json::object object;
    for (const auto& [name, entry] : entries_)
        if (!entry.sha256.empty())
            object[name] = json::object{
                {"inode", entry.stamp.inode},     {"size", entry.stamp.size},
                {"seconds", entry.stamp.seconds}, {"nanoseconds", entry.stamp.nanoseconds},
                {"sha256", entry.sha256},         {"volume_id", entry.volume_id}};
    (void)write_file_durably(place_.index, json::serialize(object), 0600);
}

} // namespace lom::kvms
