#include "sp/service_manager.h"

#include "base/fd.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace lom::service_manager {

namespace {

// The variable stays: lomd starts itself anew for `reset /SP`.
const char* socket_path() { return std::getenv("NOTIFY_SOCKET"); }

void tell(const std::string& message) {
    const char* path = socket_path();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path == nullptr || std::strlen(path) >= sizeof(address.sun_path))
        return;
    const std::size_t length = std::strlen(path);
    std::memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') // the abstract name space
        address.sun_path[0] = '\0';
    const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

} // namespace

bool present() { return socket_path() != nullptr; }
void ready(const std::string& status) { tell("READY=1\nSTATUS=" + status + "\n"); }
void stopping() { tell("STOPPING=1\n"); }

} // namespace lom::service_manager
