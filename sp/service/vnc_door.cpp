#include "sp/service/vnc_door.h"

#include "sp/service/ssh_door.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace lom {

namespace {

std::string text_of(const sockaddr_storage& address, socklen_t size) {
    char host[NI_MAXHOST] = "";
    if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof(host), nullptr,
                    0, NI_NUMERICHOST) != 0)
        return "unknown";
    return host;
}

} // namespace

Result<void> VncDoor::open(const std::string& address, std::uint16_t port) {
    close();
    auto listener = listen_tcp(address, port);
    if (!listener)
        return listener.fault();
    listener_ = std::move(*listener);
    accept_watch_ = loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
    return {};
}

void VncDoor::close() {
    accept_watch_.reset();
    listener_.reset();
}

void VncDoor::accept() {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    UniqueFd socket(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket)
        return;
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(socket.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    came_(std::move(socket), text_of(address, size));
}

} // namespace lom
