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
constexpr std::array<std::string_view, 6> schemes{"file", "http", "https", "nfs", "smb", "sshfs"};

struct ImageUri {
    std::string scheme; ///< "sshfs" (also for sftp), "https", "http", "nfs", "smb" (also for samba
                        ///< and cifs), "file", "browser"
    std::string user;   ///< empty: comes from the credentials
    std::string host;   ///< name or address, IPv6 without its brackets; empty: file
    std::uint16_t port = 22;
    std::string path; ///< absolute, literal: no percent decoding, as ILOM takes it
    bool is_web() const { return scheme == "http" || scheme == "https"; }
};

/// SCHEME://[USER@]HOST[:PORT]:/PATH (ILOM's colon) or SCHEME://[USER@]HOST[:PORT]/PATH; the first
/// name of an SMB path is the share. file:///PATH has no host.
Result<ImageUri> parse_image_uri(std::string_view text);

} // namespace lom::media
