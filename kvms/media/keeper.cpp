#include "kvms/media/keeper.h"

#include "base/passed_fds.h"
#include "base/process.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <numeric>
#include <string>

#include <fcntl.h>
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

/// T is all zero where nobody has written yet.
template <typename T>
T* shared(int fd) {
    if (fd < 0 || ftruncate(fd, sizeof(T)) < 0)
        return nullptr;
    void* const at = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

} // namespace

Result<std::unique_ptr<Keeper>> Keeper::start(const std::string& policy_file) {
    const UniqueFd file(open(policy_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    const UniqueFd memory(memfd_create("lom-keep", MFD_CLOEXEC));
    auto* const policy = shared<HoldPolicy>(file.get());
    auto* const notes = shared<KeeperNotes>(memory.get());
    int ends[2];
    if (policy == nullptr || notes == nullptr ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return cannot_start(std::strerror(errno));
    const UniqueFd its(ends[1]);
    std::unique_ptr<Keeper> keeper(new Keeper(policy, notes, UniqueFd(ends[0])));
    SpawnOptions options;
    options.argv = {own_folder() + "lom-keep"};
    options.fds = {{file.get(), KeeperFds::policy},
                   {memory.get(), KeeperFds::notes},
                   {its.get(), KeeperFds::line}};
    options.environment = {"LANG=C"};
    if (const auto started = spawn(options); !started)
        return cannot_start(started.fault().message);
    return keeper;
}

Keeper::Keeper(HoldPolicy* policy, KeeperNotes* notes, UniqueFd line)
    : policy_(policy), notes_(notes), line_(std::move(line)), free_(KeeperNotes::most_reads) {
    std::iota(free_.begin(), free_.end(), std::size_t{0});
}

Keeper::~Keeper() {
    munmap(policy_, sizeof(HoldPolicy));
    munmap(notes_, sizeof(KeeperNotes));
}

void Keeper::inherit(int fuse_fd) {
    const char byte = 0;
    (void)send_with_fds(line_.get(), {&byte, 1}, {&fuse_fd, 1});
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
    policy_->seconds = limit.count();
    policy_->let_go = !hold;
}

} // namespace lom::media
