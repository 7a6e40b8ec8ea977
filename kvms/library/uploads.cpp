#include "kvms/library/uploads.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

namespace lom::kvms {

using namespace std::chrono_literals;

namespace {

constexpr auto look_pause = 50ms;
constexpr auto room_pause = 1s;
constexpr auto kill_after = 5s; // of a server whose client is gone
constexpr std::size_t longest_line = 4096;
constexpr std::size_t most_complaints = 20;

std::optional<struct stat> facts_of(const std::string& path) {
    struct stat facts {};
    return lstat(path.c_str(), &facts) == 0 ? std::optional(facts) : std::nullopt;
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
        names.push_back(entry.path().filename());
    return names;
}

/// Whether somebody has it open for writing: only then is a lease refused so.
bool is_being_written(const std::string& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd)
        return false;
    int leased = fcntl(fd.get(), F_SETLEASE, F_RDLCK);
    if (leased < 0 && errno == EACCES && fchown(fd.get(), geteuid(), getegid()) == 0)
        leased = fcntl(fd.get(), F_SETLEASE, F_RDLCK); // a file of our own
    if (leased < 0)
        return errno == EAGAIN || errno == EACCES;
    fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return false;
}

/// The last part of the path that stands there in the server's log.
std::optional<std::string> name_between(const std::string& line, std::string_view before,
                                        std::string_view behind) {
    const std::size_t begin = line.find(before);
    const std::size_t end = line.rfind(behind);
    if (begin == std::string::npos || end == std::string::npos || end < begin + before.size())
        return std::nullopt;
    const std::string path = line.substr(begin + before.size(), end - begin - before.size());
    return path.substr(path.rfind('/') + 1);
}

/// Names are the client's: what a terminal could obey goes.
std::string printable(std::string name) {
    for (char& c : name)
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
            c = '?';
    return name.substr(0, 128);
}

} // namespace

struct Uploads::Session {
    std::string key;
    Told told;
    std::string folder;
    ProcessId server;
    std::map<ino_t, std::string> links; ///< images, by their names in the folder
    std::uint64_t most = 0;             ///< bytes of one file
    std::unique_ptr<Stream> words;
    std::string line;
    std::string opened;               ///< to be written, by the line before
    std::set<std::string> unfinished; ///< that the server closed itself
    std::vector<std::string> complaints;
    std::optional<int> status;
    bool silent = false; ///< its words have ended
    Loop::Handle exit, soon, room, kill;
    Ended ended;
};

Uploads::Uploads(Loop& loop, Library& library, std::string program)
    : loop_(loop), library_(library), program_(std::move(program)) {}

Uploads::~Uploads() {
    for (const auto& [key, session] : sessions_)
        if (!session->status)
            send_signal(session->server, SIGKILL);
}

Result<UniqueFd> Uploads::begin(const std::string& key, Told told) {
    if (sessions_.size() >= most_at_once || sessions_.contains(key))
        return Fault{FaultKind::busy, "Too many SFTP sessions; try again soon."};
    int stream[2];
    int words[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd ours(stream[0]);
    const UniqueFd theirs(stream[1]);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, words) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd hearing(words[0]);
    const UniqueFd saying(words[1]);
    auto folder = library_.make_staging();
    if (!folder)
        return folder.fault();
    auto session = std::make_shared<Session>();
    session->key = key;
    session->told = std::move(told);
    session->folder = *folder;
    session->most = library_.room();
    link_images(*session);
    const std::string account = std::to_string(library_.place().account.value_or(getuid()));
    const auto server = spawn(
        {.argv = {program_, session->folder, std::to_string(session->most), account},
         .fds = {{theirs.get(), 0}, {theirs.get(), 1}, {saying.get(), 2}},
         // To build the server's world with and to become its account; it gives them up.
         .capabilities = library_.place().account ? std::vector<int>{CAP_SYS_ADMIN, CAP_SETUID,
                                                                     CAP_SETGID, CAP_DAC_OVERRIDE}
                                                  : std::vector<int>{},
         .environment = {"PATH=/usr/bin:/bin"},
         .no_new_privs = false}); // it sets that itself, when the rest is done
    if (!server) {
        library_.drop_staging(session->folder);
        return server.fault();
    }
    session->server = *server;
    sessions_[key] = session;
    listen(session, std::move(hearing));
    return ours;
}

void Uploads::listen(const std::shared_ptr<Session>& session, UniqueFd words) {
    const auto weak = std::weak_ptr(session);
    session->words = std::make_unique<Stream>(
        loop_, std::move(words),
        Stream::Handlers{.data =
                             [this, weak](std::string_view bytes, std::vector<UniqueFd>) {
                                 if (const auto owner = weak.lock()) {
                                     hear(*owner, bytes);
                                     look_soon(owner);
                                 }
                             },
                         .closed =
                             [this, weak](const std::string&) {
                                 if (const auto owner = weak.lock()) {
                                     owner->silent = true;
                                     end(owner);
                                 }
                             }});
    session->exit = loop_.on_exit(session->server.pid, [this, weak](int status) {
        if (const auto owner = weak.lock()) {
            owner->status = status;
            end(owner);
        }
    });
    session->room = loop_.every(room_pause, [this, weak] {
        if (const auto owner = weak.lock())
            watch_room(*owner);
    });
}

void Uploads::hear(Session& session, std::string_view bytes) {
    for (const char c : bytes) {
        if (c == '\n')
            hear_line(session, std::exchange(session.line, {}));
        else if (session.line.size() < longest_line)
            session.line += c;
    }
}

/// forced close "x.iso" bytes read 0 written 4711: the client did not finish it.
/// open "/x.iso" flags WRITE,CREATE,TRUNCATE mode 0644, sent status Permission denied: it is there.
void Uploads::hear_line(Session& session, const std::string& line) {
    const std::string opened = std::exchange(session.opened, {});
    if (const auto name = name_between(line, "forced close \"", "\" bytes read "))
        session.unfinished.insert(*name);
    else if (const auto wanted = name_between(line, "open \"", "\" flags WRITE"))
        session.opened = *wanted;
    else if (line.starts_with("sent status Permission denied") && library_.find(opened))
        tell(session, "put " + opened, library_.check_free(opened));
    else if (line.starts_with("lom-sftp: ") && session.complaints.size() < most_complaints)
        session.complaints.push_back("SFTP cannot be confined on this machine (" + line +
                                     "); use 'load -source URI /SP/media'.");
}

void Uploads::look_soon(const std::shared_ptr<Session>& session) {
    if (session->soon)
        return;
    session->soon = loop_.after(look_pause, [this, weak = std::weak_ptr(session)] {
        if (const auto owner = weak.lock()) {
            owner->soon.reset();
            look(*owner, false);
        }
    });
}

void Uploads::look(Session& session, bool at_end) {
    if (access(session.folder.c_str(), R_OK | X_OK) < 0)
        return; // what cannot be seen was not removed
    follow_links(session);
    for (const std::string& name : names_in(session.folder)) {
        const auto facts = facts_of(session.folder + "/" + name);
        if (facts && !session.links.contains(facts->st_ino))
            take_in(session, name, at_end);
    }
    link_images(session);
}

/// What became of the images' links: removed or renamed means the images themselves.
void Uploads::follow_links(Session& session) {
    std::map<ino_t, std::string> now;
    for (const std::string& name : names_in(session.folder))
        if (const auto facts = facts_of(session.folder + "/" + name))
            now[facts->st_ino] = name;
    for (const auto& [inode, name] : std::exchange(session.links, {})) {
        const auto image = facts_of(library_.path_of(name));
        if (!image || image->st_ino != inode) { // it went another way
            if (now.contains(inode))
                unlink((session.folder + "/" + now[inode]).c_str());
            continue;
        }
        const auto found = now.find(inode);
        if (found == now.end()) {
            tell(session, "removed " + name, library_.remove(name));
        } else if (found->second == name) {
            session.links[inode] = name;
        } else {
            const auto renamed = library_.rename(name, found->second);
            tell(session, "renamed " + name + " to " + printable(found->second), renamed);
            if (renamed)
                session.links[inode] = found->second;
            else
                unlink((session.folder + "/" + found->second).c_str());
        }
    }
}

void Uploads::take_in(Session& session, const std::string& name, bool at_end) {
    const std::string file = session.folder + "/" + name;
    const auto facts = facts_of(file);
    if (!facts || (S_ISREG(facts->st_mode) && !at_end && is_being_written(file)))
        return;
    const bool clean = session.status && WIFEXITED(*session.status) &&
                       WEXITSTATUS(*session.status) == 0 && !session.unfinished.contains(name);
    Result<void> taken;
    if (at_end && !clean)
        taken = Fault{FaultKind::unavailable, "The connection ended before the file was complete."};
    else if (static_cast<std::uint64_t>(facts->st_size) >= session.most)
        taken = Fault{FaultKind::wrong_state, printable(name) +
                                                  " does not fit: quota and file system leave " +
                                                  std::to_string(session.most >> 20U) + " MB."};
    else
        taken = library_.take_in(file, name);
    if (!taken)
        unlink(file.c_str());
    tell(session, "put " + printable(name), taken);
    session.most = library_.room();
    const rlimit size{session.most, session.most};
    prlimit(session.server.pid, RLIMIT_FSIZE, &size, nullptr);
}

/// The client sees, reads and removes images by links; their modes keep them from being written.
void Uploads::link_images(Session& session) {
    for (const LibraryImage& image : library_.images()) {
        const std::string path = library_.path_of(image.name);
        const auto facts = facts_of(path);
        if (!facts || session.links.contains(facts->st_ino) || (facts->st_mode & 0222) != 0)
            continue;
        if (link(path.c_str(), (session.folder + "/" + image.name).c_str()) == 0)
            session.links[facts->st_ino] = image.name;
    }
}

void Uploads::tell(Session& session, const std::string& deed, const Result<void>& done) {
    if (!done && session.complaints.size() < most_complaints)
        session.complaints.push_back(deed + ": " + done.fault().message);
    session.told(deed, done);
}

/// The limit is on each file; together they must fit too.
void Uploads::watch_room(Session& session) {
    std::uint64_t sum = 0;
    for (const std::string& name : names_in(session.folder)) {
        const auto facts = facts_of(session.folder + "/" + name);
        if (facts && !session.links.contains(facts->st_ino))
            sum += static_cast<std::uint64_t>(facts->st_blocks) * 512;
    }
    if (sum <= session.most || session.status)
        return;
    session.complaints.emplace_back("The files do not fit into the library.");
    send_signal(session.server, SIGKILL);
}

void Uploads::finish(const std::string& key, Ended ended) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end())
        return ended({"The service processor knows of no SFTP session (it may have restarted); see "
                      "'show /SP/media', and copy again what is missing."});
    const auto session = found->second;
    session->ended = std::move(ended);
    end(session);
    if (!session->status)
        session->kill =
            loop_.after(kill_after, [server = session->server] { send_signal(server, SIGKILL); });
}

void Uploads::drop(const std::string& key) {
    const auto found = sessions_.find(key);
    if (found == sessions_.end())
        return;
    if (!found->second->ended)
        found->second->ended = [](const std::vector<std::string>&) {};
    send_signal(found->second->server, SIGKILL);
    end(found->second);
}

/// When the server is gone and all it said is heard; the outcome waits for who asks for it.
void Uploads::end(const std::shared_ptr<Session>& session) {
    if (!session->status || !session->silent)
        return;
    if (session->words) {
        loop_.post([words = std::shared_ptr<Stream>(std::move(session->words))] {});
        session->soon.reset();
        session->room.reset();
        session->kill.reset();
        look(*session, true);
        library_.drop_staging(session->folder);
    }
    if (!session->ended)
        return;
    sessions_.erase(session->key);
    session->ended(session->complaints);
}

} // namespace lom::kvms
