// Where images may be fetched from: the service processor must not be anybody's way to what only
// its own machine reaches. lomd asks when a URI is set, lom-media before each connection, because
// names and redirects lead anywhere. Pure; any thread; never touches the network.
#pragma once

#include "base/result.h"
#include "kvms/media/sources/uri.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace lom::media {

/// The addresses that begin with the same bits.
struct Network {
    std::array<unsigned char, 16> address{}; ///< IPv4 as ::ffff:a.b.c.d
    unsigned bits = 0;                       ///< of 128
};

/// "10.0.0.0/8", "2001:db8::/32", or one address.
Result<Network> parse_network(std::string_view text);

struct ImagePolicy {
    bool loopback = false;            ///< the service processor's own machine may be named
    std::vector<std::string> schemes; ///< as ImageUri has them; empty: all
    std::vector<Network> networks;    ///< empty: everywhere

    /// What the URI alone tells: its scheme, and its host where that is an address or "localhost".
    Result<void> check(const ImageUri& uri) const;
    /// What a name or a redirect has led to. Link-local and unspecified addresses and the metadata
    /// services of clouds are never allowed.
    Result<void> check(const sockaddr& address) const;
};

} // namespace lom::media
