// SSH public keys as lomd needs them: read from a line of text, named by their fingerprint, and the
// proof that whoever logs in holds the private half. libcrypto checks; nothing here trusts the
// process that speaks SSH. Any thread.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace lom {

struct SshPublicKey {
    std::string algorithm; ///< "ssh-ed25519"
    std::string blob;      ///< the key in SSH's wire form, which holds the algorithm too
    std::string comment;
    int bits = 0;

    /// "ssh-ed25519 AAAA... comment", as in a .pub file. Types: ed25519, ecdsa, rsa of 2048 bits or
    /// more.
    static Result<SshPublicKey> parse(std::string_view line);
    static Result<SshPublicKey> from_blob(std::string_view blob);

    std::string fingerprint() const; ///< "SHA256:..." as ssh-keygen -l prints it
    std::string line() const;        ///< back to the text
};

/// What a client signed to log in (RFC 4252, section 7), and its signature in the form that
/// libcrypto takes.
struct KeyProof {
    std::string signed_data;
    std::string signature;
};

/// Whether `proof` says that the holder of `key` wants to log in as `username`, and is genuine.
bool proves(const KeyProof& proof, const SshPublicKey& key, const std::string& username);

} // namespace lom
