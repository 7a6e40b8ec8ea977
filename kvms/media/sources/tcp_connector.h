// A TCP connection to HOST:PORT, with the reason in words when there is none: the name is resolved
// in the loop's pool, the addresses that the policy allows are tried in turn. Loop thread only;
// never blocks.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "kvms/media/sources/image_policy.h"
#include "kvms/media/status.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace lom::media {

class TcpConnector {
  public:
    struct Handlers {
        std::function<void(UniqueFd)> connected; ///< a blocking socket, TCP_NODELAY
        std::function<void(Problem)> failed;
    };

    /// `policy` outlives the connector. One of the handlers comes once, unless the connector is
    /// destroyed before; it may be destroyed inside them.
    TcpConnector(Loop& loop, std::string host, std::uint16_t port, const ImagePolicy& policy,
                 Handlers handlers);
    ~TcpConnector();
    TcpConnector(const TcpConnector&) = delete;
    TcpConnector& operator=(const TcpConnector&) = delete;

  private:
    struct Address;
    struct Resolution;

    void resolved(const Resolution& resolution);
    void try_next();
    void try_address(const Address& address);
    void settled();
    void address_failed(int error);
    void fail(Status status, std::string detail, bool transient = true);

    Loop& loop_;
    std::string host_;
    std::uint16_t port_;
    const ImagePolicy& policy_;
    Handlers handlers_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< the pool's work may outlive us
    std::deque<Address> addresses_;
    UniqueFd fd_;
    int last_error_ = 0;
    Loop::Handle writable_;
    Loop::Handle timeout_;
};

} // namespace lom::media
