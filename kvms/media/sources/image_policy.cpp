#include "kvms/media/sources/image_policy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace lom::media {

namespace {

using Bytes = std::array<unsigned char, 16>;

constexpr unsigned mapped_bits = 96; // before the IPv4 address in ::ffff:a.b.c.d

Bytes mapped(const void* v4) {
    Bytes bytes{};
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], v4, 4);
    return bytes;
}

/// An IPv4 address that a gateway would take out of 64:ff9b::a.b.c.d counts as that address.
Bytes without_gateway(const Bytes& bytes) {
    static constexpr std::array<unsigned char, 12> prefix{0, 0x64, 0xff, 0x9b};
    return std::equal(prefix.begin(), prefix.end(), bytes.begin()) ? mapped(&bytes[12]) : bytes;
}

std::optional<Bytes> bytes_of(const sockaddr& address) {
    if (address.sa_family == AF_INET)
        return mapped(&reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    if (address.sa_family != AF_INET6)
        return std::nullopt;
    Bytes bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
    return without_gateway(bytes);
}

bool contains(const Network& network, const Bytes& address) {
    const std::size_t whole = network.bits / 8;
    const unsigned rest = network.bits % 8;
    if (!std::equal(address.begin(), address.begin() + whole, network.address.begin()))
        return false;
    const auto mask = static_cast<unsigned char>(0xff00U >> rest);
    return rest == 0 || ((address[whole] ^ network.address[whole]) & mask) == 0;
}

bool any_contains(const std::vector<Network>& networks, const Bytes& address) {
    return std::any_of(networks.begin(), networks.end(),
                       [&](const Network& network) { return contains(network, address); });
}

std::vector<Network> parsed(std::initializer_list<const char*> texts) {
    std::vector<Network> networks;
    for (const char* text : texts)
        networks.push_back(*parse_network(text));
    return networks;
}

/// Link-local, unspecified, multicast, and where clouds tell their machines' secrets.
const std::vector<Network>& never_allowed() {
    static const std::vector<Network> networks =
        parsed({"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "100.100.100.200", "168.63.129.16",
                "::", "fe80::/10", "ff00::/8", "fd00:ec2::254", "fd20:ce::254"});
    return networks;
}

const std::vector<Network>& own_machine() {
    static const std::vector<Network> networks = parsed({"127.0.0.0/8", "::1"});
    return networks;
}

Fault denied(std::string sentence) { return {FaultKind::denied, std::move(sentence)}; }

Fault loopback_denied() {
    return denied("The server is the service processor's own machine; only an account with the "
                  "role a may name it.");
}

bool is_localhost(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
        return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    if (name.ends_with('.'))
        name.pop_back();
    return name == "localhost" || name.ends_with(".localhost") || name == "ip6-localhost";
}

} // namespace

Result<Network> parse_network(std::string_view text) {
    const Fault invalid{FaultKind::invalid_value,
                        "Write a network as 10.0.0.0/8 or 2001:db8::/32, or one address."};
    const std::size_t slash = std::min(text.find('/'), text.size());
    const std::string address(text.substr(0, slash));
    Network network;
    in_addr v4{};
    const bool is_v4 = inet_pton(AF_INET, address.c_str(), &v4) == 1;
    if (!is_v4 && inet_pton(AF_INET6, address.c_str(), network.address.data()) != 1)
        return invalid;
    const unsigned before = is_v4 ? mapped_bits : 0;
    unsigned bits = 128 - before;
    if (slash < text.size()) {
        const std::string_view number = text.substr(slash + 1);
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), bits);
        if (error != std::errc() || end != number.data() + number.size() || bits > 128 - before)
            return invalid;
    }
    if (is_v4)
        network.address = mapped(&v4);
    network.bits = before + bits;
    return network;
}

Result<void> ImagePolicy::check(const ImageUri& uri) const {
    if (!schemes.empty() && std::find(schemes.begin(), schemes.end(), uri.scheme) == schemes.end())
        return denied("The image policy does not allow the scheme " + uri.scheme + ".");
    if (uri.host.empty())
        return {};
    if (is_localhost(uri.host) && !loopback)
        return loopback_denied();
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST; // all spellings of an address, and nothing else
    addrinfo* found = nullptr;
    if (getaddrinfo(uri.host.c_str(), nullptr, &hints, &found) != 0)
        return {};
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
    return check(*list->ai_addr);
}

Result<void> ImagePolicy::check(const sockaddr& address) const {
    const auto bytes = bytes_of(address);
    if (!bytes || any_contains(never_allowed(), *bytes))
        return denied("The server's address is link-local, unspecified or a cloud's metadata "
                      "service; images are not fetched from there.");
    if (any_contains(own_machine(), *bytes))
        return loopback ? Result<void>() : loopback_denied();
    if (!networks.empty() && !any_contains(networks, *bytes))
        return denied("The server's address is none of the image policy's allowed_addresses.");
    return {};
}

} // namespace lom::media
