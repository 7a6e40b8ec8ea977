#include "kvms/media/keeper.h"

#include "base/process.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <numeric>
#include <string>

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lom::media {

namespace {

Fault cannot_start(const std::string& why) {
    return {FaultKind::internal, "lom-keep cannot be started: " + why};
}

std::string own_folder() {
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
    const std::string program(path, length < 0 ? 0 : static_cast<std::size_t>(length));
    return program.substr(0, program.rfind('/') + 1);
}

} // namespace

Result<std::unique_ptr<Keeper>> Keeper::start() {
    const UniqueFd memory(memfd_create("lom-keep", MFD_CLOEXEC));
    if (!memory || ftruncate(memory.get(), sizeof(KeeperNotes)) < 0)
        return cannot_start(std::strerror(errno));
    void* const at =
        mmap(nullptr, sizeof(KeeperNotes), PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    int ends[2];
    if (at == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return cannot_start(std::strerror(errno));
    UniqueFd ours(ends[0]);
    const UniqueFd its(ends[1]);
    auto* const notes = new (at) KeeperNotes; // NOLINT: unmapped by ~Keeper
    std::unique_ptr<Keeper> keeper(new Keeper(notes, std::move(ours)));
    SpawnOptions options;
    options.argv = {own_folder() + "lom-keep"};
    options.fds = {{memory.get(), 3}, {its.get(), 4}};
    options.environment = {"LANG=C"};
    if (const auto started = spawn(options); !started)
        return cannot_start(started.fault().message);
    return keeper;
}

Keeper::Keeper(KeeperNotes* notes, UniqueFd line)
    : notes_(notes), line_(std::move(line)), free_(KeeperNotes::most_reads) {
    std::iota(free_.begin(), free_.end(), std::size_t{0});
}

Keeper::~Keeper() { munmap(notes_, sizeof(KeeperNotes)); }

void Keeper::inherit(int fuse_fd) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof(room);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fuse_fd, sizeof(int));
    (void)sendmsg(line_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool Keeper::began(const void* read, std::uint64_t unique) {
    if (free_.empty())
        return false;
    const std::size_t slot = free_.back();
    free_.pop_back();
    noted_[read] = slot;
    notes_->reads[slot] = unique;
    notes_->newest = unique;
    return true;
}

void Keeper::ended(const void* read) {
    const auto noted = noted_.find(read);
    if (noted == noted_.end())
        return;
    notes_->reads[noted->second] = 0;
    free_.push_back(noted->second);
    noted_.erase(noted);
}

void Keeper::follow_policy(bool hold, std::chrono::seconds limit) {
    notes_->hold_seconds = limit.count();
    notes_->hold = hold;
}

void Keeper::dismiss() { notes_->dismissed = true; }

} // namespace lom::media
