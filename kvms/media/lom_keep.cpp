// lom-keep: sleeps until its lom-media is gone, then answers the reads of whoever has the image's
// file open, until nobody has. It opens nothing, and reads requests of the kernel only.
#include "kvms/media/keeper.h"

#include "base/sanitized.h"

#include <linux/fuse.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

namespace lom::media {

namespace {

constexpr std::uint64_t not_noted_yet = 256;
constexpr std::size_t largest_request = (1U << 20U) + (64U << 10U); // the kernel wants that room

bool confine() {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return false;
    if (sanitized)
        return true;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool allowed = filter != nullptr;
    for (const int call : {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(poll), SCMP_SYS(ppoll),
                           SCMP_SYS(recvmsg), SCMP_SYS(clock_gettime), SCMP_SYS(exit_group),
                           SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall)})
        allowed = allowed && seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) == 0;
    allowed = allowed && seccomp_load(filter) == 0;
    return allowed; // what the filter was made in is not worth a further system call
}

template <typename T>
const T* shared(int fd) {
    const void* const at = mmap(nullptr, sizeof(T), PROT_READ, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? nullptr : static_cast<const T*>(at);
}

/// -1: lom-media has gone without one.
int receive_descriptor(int line) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof(room);
    ssize_t count = 0;
    while ((count = recvmsg(line, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        continue;
    const cmsghdr* const header = count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS)
        return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

void wait_for_the_end(int line) {
    char byte = 0;
    ssize_t count = 0;
    while ((count = read(line, &byte, 1)) > 0 || (count < 0 && errno == EINTR))
        continue;
}

std::int64_t now_in_seconds() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

class Heir {
  public:
    Heir(int fuse, const HoldPolicy& policy, const KeeperNotes& notes)
        : fuse_(fuse), policy_(policy), notes_(notes), began_(now_in_seconds()) {}

    /// Those that lom-media took and did not answer; one that it did answer is unknown by now.
    void answer_left_over() {
        for (const auto& unique : notes_.reads)
            if (unique != 0)
                answer(unique, refusal());
        // And what it took but had not noted yet: a number that nothing waits under is no harm.
        for (std::uint64_t ahead = 1; ahead <= not_noted_yet; ++ahead)
            answer(notes_.newest + ahead, refusal());
    }

    void serve() {
        for (;;) {
            pollfd waiting{fuse_, POLLIN, 0};
            if (poll(&waiting, 1, -1) < 0 && errno != EINTR)
                return;
            const ssize_t size = read(fuse_, request_, sizeof(request_));
            if (size < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
                return; // ENODEV: nobody has the file open any more
            if (size >= static_cast<ssize_t>(sizeof(fuse_in_header)))
                obey();
        }
    }

  private:
    void obey() {
        fuse_in_header header{};
        std::memcpy(&header, request_, sizeof(header));
        switch (header.opcode) {
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            return; // have no answer
        case FUSE_RELEASE:
        case FUSE_FLUSH:
        case FUSE_DESTROY:
            return answer(header.unique, 0);
        default:
            return answer(header.unique, refusal());
        }
    }

    int refusal() const {
        const std::int64_t limit = policy_.seconds;
        const bool late = limit > 0 && now_in_seconds() - began_ >= limit;
        return !policy_.let_go && !late ? hold_errno : EIO;
    }

    void answer(std::uint64_t unique, int error) const {
        const fuse_out_header header{sizeof(fuse_out_header), -error, unique};
        (void)!write(fuse_, &header, sizeof(header));
    }

    int fuse_;
    const HoldPolicy& policy_;
    const KeeperNotes& notes_;
    std::int64_t began_;
    inline static char request_[largest_request];
};

} // namespace

int keep() {
    prctl(PR_SET_DUMPABLE, 0);
    for (const int number : {SIGINT, SIGHUP, SIGTERM, SIGPIPE})
        signal(number, SIG_IGN); // who ends us fails the guest's reads; we end by ourselves
    const auto* const policy = shared<HoldPolicy>(KeeperFds::policy);
    const auto* const notes = shared<KeeperNotes>(KeeperFds::notes);
    if (policy == nullptr || notes == nullptr || !confine())
        return 1;
    const int fuse = receive_descriptor(KeeperFds::line);
    if (fuse < 0)
        return 0;
    wait_for_the_end(KeeperFds::line);
    Heir heir(fuse, *policy, *notes);
    heir.answer_left_over();
    heir.serve();
    return 0;
}

} // namespace lom::media

int main() { return lom::media::keep(); }
