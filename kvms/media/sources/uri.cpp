#include "kvms/media/sources/uri.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace lom::media {

namespace {

constexpr std::size_t max_uri_length = 4096;
constexpr std::size_t max_host_length = 253;
constexpr std::size_t max_user_length = 255;
constexpr std::string_view shape = "Write it as sshfs://[USER@]HOST[:PORT]:/PATH.";

Fault invalid(std::string sentence) { return {FaultKind::invalid_value, std::move(sentence)}; }

Fault misshapen(std::string_view what) {
    return invalid(std::string(what) + " " + std::string(shape));
}

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

bool is_ascii_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_host_name_byte(char c) { return is_ascii_alnum(c) || c == '.' || c == '-' || c == '_'; }

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

Result<std::string> checked_scheme(std::string_view text) {
    const std::string scheme = lower_case(text);
    if (scheme == "sshfs" || scheme == "sftp")
        return std::string("sshfs");
    if (scheme == "smb" || scheme == "samba" || scheme == "cifs")
        return std::string("smb");
    if (scheme == "http" || scheme == "https" || scheme == "nfs" || scheme == "file" ||
        scheme == "browser")
        return scheme;
    const bool printable = std::all_of(scheme.begin(), scheme.end(), is_ascii_alnum);
    return invalid(
        "The scheme " + (printable ? "'" + scheme + "' " : std::string()) +
        "is not supported; the supported ones are sshfs, sftp, https, http, nfs, smb and "
        "file.");
}

Result<std::string> checked_user(std::string_view user) {
    if (user.empty())
        return misshapen("The URI has an '@' but no user before it.");
    if (user.find(':') != std::string_view::npos)
        return invalid("The URI must not hold a password; set the password property instead.");
    if (user.front() == '-' || user.size() > max_user_length)
        return invalid("The user in the URI is not a valid account name.");
    return std::string(user);
}

Result<std::uint16_t> checked_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0 || port > 65535)
        return invalid("The port in the URI must be a number from 1 to 65535.");
    return static_cast<std::uint16_t>(port);
}

Result<std::string> checked_ipv6(std::string_view text) {
    const std::string address(text.substr(0, text.find('%')));
    const std::string_view zone = text.substr(std::min(address.size(), text.size()));
    in6_addr parsed{};
    const bool zone_is_sound =
        zone.empty() ||
        (zone.size() > 1 && std::all_of(zone.begin() + 1, zone.end(), is_host_name_byte));
    if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || !zone_is_sound)
        return invalid("Between the brackets of the URI must stand an IPv6 address.");
    return std::string(text);
}

Result<std::string> checked_host(std::string_view host) {
    if (host.empty())
        return misshapen("The URI names no host.");
    if (host.front() == '-')
        return invalid("The host in the URI must not start with '-'.");
    if (host.size() > max_host_length || !std::all_of(host.begin(), host.end(), is_host_name_byte))
        return invalid("The host in the URI must be a host name, an IPv4 address or an IPv6 "
                       "address in brackets.");
    return std::string(host);
}

Result<std::string> checked_path(std::string_view path) {
    if (path.size() <= 1)
        return misshapen("The URI names no file: the path is missing.");
    if (path.back() == '/')
        return invalid("The path in the URI names a folder; name the image file.");
    for (std::size_t start = 1; start <= path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        if (path.substr(start, end - start) == "..")
            return invalid("The path in the URI must not contain '..'; write the full path.");
        start = end + 1;
    }
    return std::string(path);
}

std::uint16_t usual_port(std::string_view scheme) {
    if (scheme == "https")
        return 443;
    if (scheme == "http")
        return 80;
    if (scheme == "nfs")
        return 2049;
    if (scheme == "smb")
        return 445;
    return scheme == "sshfs" ? 22 : 0;
}

/// HOST[:PORT] or [IPV6][:PORT].
Result<void> parse_host_and_port(std::string_view text, ImageUri& uri) {
    std::string_view port;
    Result<std::string> host = std::string();
    if (!text.empty() && text.front() == '[') {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos)
            return misshapen("The '[' in the URI has no ']'.");
        host = checked_ipv6(text.substr(1, close - 1));
        port = text.substr(close + 1);
        if (!port.empty() && port.front() != ':')
            return misshapen("After the ']' in the URI only a port may follow.");
    } else {
        const std::size_t colon = std::min(text.find(':'), text.size());
        host = checked_host(text.substr(0, colon));
        port = text.substr(colon);
    }
    if (!host)
        return host.fault();
    uri.host = *host;
    if (port.empty())
        return {};
    const auto number = checked_port(port.substr(1));
    if (!number)
        return number.fault();
    uri.port = *number;
    return {};
}

} // namespace

Result<ImageUri> parse_image_uri(std::string_view text) {
    if (text.size() > max_uri_length)
        return invalid("The URI is longer than 4096 bytes.");
    if (std::any_of(text.begin(), text.end(), is_control))
        return invalid("The URI must not contain control characters such as newline or NUL.");
    const std::size_t separator = text.find("://");
    if (separator == std::string_view::npos)
        return misshapen("The URI has no scheme.");
    ImageUri uri;
    const auto scheme = checked_scheme(text.substr(0, separator));
    if (!scheme)
        return scheme.fault();
    uri.scheme = *scheme;
    uri.port = usual_port(uri.scheme);

    const std::string_view rest = text.substr(separator + 3);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const auto path = checked_path(rest.substr(slash));
    std::string_view authority = rest.substr(0, slash);
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        const auto user = checked_user(authority.substr(0, at));
        if (!user)
            return user.fault();
        uri.user = *user;
        authority.remove_prefix(at + 1);
    }
    if (!authority.empty() && authority.back() == ':')
        authority.remove_suffix(1); // ILOM's colon before the path
    if (uri.scheme == "file" || uri.scheme == "browser") {
        if (!authority.empty() || !uri.user.empty())
            return invalid("A file: URI names no host; write it as file:///PATH.");
    } else if (const auto parsed = parse_host_and_port(authority, uri); !parsed) {
        return parsed.fault();
    }
    if (!path)
        return path.fault();
    uri.path = *path;
    if (uri.scheme == "smb" && uri.path.find('/', 2) == std::string::npos)
        return misshapen("The URI must name a share and a file: smb://HOST/SHARE/PATH.");
    return uri;
}

} // namespace lom::media
