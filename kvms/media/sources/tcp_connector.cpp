#include "kvms/media/sources/tcp_connector.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace lom::media {

namespace {

// Together they keep the status true within 10 s.
constexpr auto resolve_limit = std::chrono::seconds(8);
constexpr auto connect_limit = std::chrono::seconds(4); // per address
constexpr std::size_t max_addresses = 4;

} // namespace

struct TcpConnector::Address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
};

struct TcpConnector::Resolution {
    std::string host;
    std::string port;
    int error = 0;
    std::deque<Address> addresses;

    void run() {
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV;
        addrinfo* list = nullptr;
        error = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
        if (error != 0)
            return;
        for (const addrinfo* entry = list; entry != nullptr && addresses.size() < max_addresses;
             entry = entry->ai_next) {
            Address address;
            std::memcpy(&address.bytes, entry->ai_addr, entry->ai_addrlen);
            address.size = entry->ai_addrlen;
            addresses.push_back(address);
        }
        freeaddrinfo(list);
    }
};

TcpConnector::TcpConnector(Loop& loop, std::string host, std::uint16_t port,
                           const ImagePolicy& policy, Handlers handlers)
    : loop_(loop), host_(std::move(host)), port_(port), policy_(policy),
      handlers_(std::move(handlers)) {
    const auto resolution = std::make_shared<Resolution>();
    resolution->host = host_;
    resolution->port = std::to_string(port_);
    loop_.in_pool([resolution] { resolution->run(); },
                  [this, resolution, alive = std::weak_ptr(alive_)] {
                      if (!alive.expired())
                          resolved(*resolution);
                  });
    timeout_ = loop_.after(resolve_limit, [this] {
        alive_.reset();
        fail(Status::unknown_host, "The name server did not answer for '" + host_ +
                                       "'; check the name servers or use an address.");
    });
}

TcpConnector::~TcpConnector() = default;

void TcpConnector::resolved(const Resolution& resolution) {
    timeout_.reset();
    if (resolution.error != 0 || resolution.addresses.empty()) {
        fail(Status::unknown_host, "The host '" + host_ + "' is unknown (" +
                                       gai_strerror(resolution.error) +
                                       "); check its name or use an address.");
        return;
    }
    std::string refusal;
    for (const Address& address : resolution.addresses) {
        const auto fine = policy_.check(reinterpret_cast<const sockaddr&>(address.bytes));
        if (fine)
            addresses_.push_back(address);
        else
            refusal = fine.fault().message;
    }
    if (addresses_.empty()) {
        fail(Status::not_allowed, refusal, false);
        return;
    }
    try_next();
}

void TcpConnector::try_next() {
    if (!addresses_.empty()) {
        const Address address = addresses_.front();
        addresses_.pop_front();
        try_address(address);
        return;
    }
    const std::string where = "port " + std::to_string(port_) + " of '" + host_ + "'";
    if (last_error_ == ECONNREFUSED)
        fail(Status::connection_refused,
             "Nothing listens on " + where + "; check the port and that its SSH server runs.");
    else
        fail(Status::unreachable, "No connection to " + where + " (" + std::strerror(last_error_) +
                                      "); check the address, the network and firewalls.");
}

void TcpConnector::try_address(const Address& address) {
    fd_.reset(socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) {
        address_failed(errno);
        return;
    }
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address.bytes), address.size) != 0 &&
        errno != EINPROGRESS) {
        address_failed(errno);
        return;
    }
    writable_ = loop_.watch(fd_.get(), Loop::Wait::writable, [this] { settled(); });
    timeout_ = loop_.after(connect_limit, [this] { address_failed(ETIMEDOUT); });
}

void TcpConnector::settled() {
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        address_failed(error);
        return;
    }
    writable_.reset();
    timeout_.reset();
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd_.get(), F_SETFL, fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
    const auto handler = std::move(handlers_.connected);
    handler(std::move(fd_));
}

void TcpConnector::address_failed(int error) {
    // A refusal says more than the silence of another address.
    if (last_error_ != ECONNREFUSED)
        last_error_ = error;
    writable_.reset();
    timeout_.reset();
    fd_.reset();
    try_next();
}

void TcpConnector::fail(Status status, std::string detail, bool transient) {
    const auto handler = std::move(handlers_.failed);
    handler({status, std::move(detail), transient});
}

} // namespace lom::media
