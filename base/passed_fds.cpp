#include "base/passed_fds.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lom {

namespace {

constexpr std::size_t most_fds = 4;

/// A message of one part and its room for descriptors.
class Message {
  public:
    Message(char* bytes, std::size_t size, std::size_t fds) : part_{bytes, size} {
        message_.msg_iov = &part_;
        message_.msg_iovlen = 1;
        if (fds > 0) {
            message_.msg_control = room_.data();
            message_.msg_controllen = CMSG_SPACE(std::min(fds, most_fds) * sizeof(int));
        }
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
    msghdr* get() { return &message_; }
    cmsghdr* header() { return CMSG_FIRSTHDR(&message_); }

  private:
    iovec part_;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_fds * sizeof(int))> room_{};
    msghdr message_{};
};

int flag(Waiting waiting) { return waiting == Waiting::yes ? 0 : MSG_DONTWAIT; }

} // namespace

Received receive_with_fds(int socket, std::span<char> buffer, std::size_t most, Waiting waiting) {
    Message message(buffer.data(), buffer.size(), most);
    Received received;
    received.count = recvmsg(socket, message.get(), MSG_CMSG_CLOEXEC | flag(waiting));
    const cmsghdr* const header = received.count < 0 ? nullptr : message.header();
    if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return received;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        received.fds.emplace_back(fd);
    }
    return received;
}

ssize_t send_with_fds(int socket, std::span<const char> bytes, std::span<const int> fds,
                      Waiting waiting) {
    fds = fds.first(std::min(fds.size(), most_fds));
    Message message(const_cast<char*>(bytes.data()), bytes.size(), fds.size());
    if (cmsghdr* const header = message.header(); header != nullptr) {
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    return sendmsg(socket, message.get(), MSG_NOSIGNAL | flag(waiting));
}

} // namespace lom
