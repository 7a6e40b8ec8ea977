#include "kvms/media/address_policy.h"

#include <netinet/in.h>

#include <cstdint>
#include <cstring>

namespace lom::media {

namespace {

bool is_forbidden_v4(std::uint32_t address) {
    return (address >> 16U) == 0xa9feU || (address >> 24U) == 0; // 169.254.0.0/16, 0.0.0.0/8
}

bool is_forbidden_v6(const in6_addr& address) {
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        std::uint32_t v4 = 0;
        std::memcpy(&v4, &address.s6_addr[12], sizeof v4);
        return is_forbidden_v4(ntohl(v4));
    }
    static constexpr unsigned char metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                                   0,    0,    0,    0,    0, 0, 0x02, 0x54};
    return IN6_IS_ADDR_LINKLOCAL(&address) || IN6_IS_ADDR_UNSPECIFIED(&address) ||
           std::memcmp(address.s6_addr, metadata, sizeof metadata) == 0;
}

} // namespace

bool is_forbidden(const sockaddr& address) {
    if (address.sa_family == AF_INET)
        return is_forbidden_v4(
            ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr));
    if (address.sa_family == AF_INET6)
        return is_forbidden_v6(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
    return true; // nothing else is a network
}

} // namespace lom::media
