// Who logs in where the image lies, as lomd hands it over on a descriptor: never in argv, the
// environment, logs or core dumps. Any thread.
#pragma once

#include "base/result.h"

#include <string>

namespace lom::media {

/// Wiped when it goes.
struct Credentials {
    std::string username;
    std::string password;
    std::string ssh_key; ///< text of an OpenSSH or PEM private key without passphrase

    Credentials() = default;
    Credentials(Credentials&&) = default;
    Credentials& operator=(Credentials&&) = delete;
    ~Credentials() { wipe(); }
    void wipe();
};

/// Reads JSON {"username":..,"password":..,"ssh_key":..} from `fd` to its end and closes it; each
/// member may be missing or null. At most 64 KiB.
Result<Credentials> read_credentials(int fd);
Result<Credentials> parse_credentials(std::string_view json);

} // namespace lom::media
