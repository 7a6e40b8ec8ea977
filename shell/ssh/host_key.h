// SSH host keys: made once by lomd's first start, read by each lom-ssh from a descriptor. One
// thread.
#pragma once

#include "base/result.h"

#include <libssh/libssh.h>

#include <memory>
#include <string>
#include <vector>

namespace lom::shell {

struct KeyDeleter {
    void operator()(ssh_key key) const { ssh_key_free(key); }
};
using SshKey = std::unique_ptr<ssh_key_struct, KeyDeleter>;

/// Writes a new key of `type` ("ed25519", "rsa") to `path`, readable by its owner only, and its
/// public half beside it with `.pub`. If there is a key, only the public half is written.
Result<void> generate_host_key(const std::string& path, const std::string& type);
/// The private key (PEM or OpenSSH's format) that `fd` holds.
Result<SshKey> read_host_key(int fd);

} // namespace lom::shell
