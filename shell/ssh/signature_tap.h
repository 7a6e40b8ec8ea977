// What the client signed when it logged in with a key. libssh checks the signature by itself and
// gives away neither it nor what was signed; but lomd has to see both, for it believes no lom-ssh.
// So this stands between libssh and libcrypto, passes each check on, and keeps the last one. One
// thread.
#pragma once

#include <optional>
#include <string>

namespace lom::shell {

struct CheckedSignature {
    std::string signed_data;
    std::string signature; ///< as libcrypto takes it
};

/// The last signature that was checked and found good; taking it forgets it.
std::optional<CheckedSignature> take_checked_signature();

} // namespace lom::shell
