// Where a remote image lies: checks and takes apart what an administrator typed as server_URI.
// Pure; any thread. Never touches the network, and never repeats a password that somebody put
// into the URI in its sentences.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace lom::media {

/// As ImageUri has them.
constexpr std::array<std::string_view, 3> schemes{"http", "https", "sshfs"};

struct ImageUri {
    std::string scheme; ///< "sshfs" (also for sftp://), "http", "https"
    std::string user;   ///< empty: comes from the credentials
    std::string host;   ///< name or address, IPv6 without its brackets
    std::uint16_t port = 22;
    std::string path; ///< absolute, literal: no percent decoding, as ILOM takes it
    bool is_web() const { return scheme == "http" || scheme == "https"; }
};

/// sshfs://[USER@]HOST[:PORT]:/PATH (ILOM's colon) or sshfs://[USER@]HOST[:PORT]/PATH; http and
/// https likewise.
Result<ImageUri> parse_image_uri(std::string_view text);

} // namespace lom::media
