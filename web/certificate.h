// Certificates for HTTPS: the first one, and looking at one before it is used. In programs of their
// own that lomd starts; PEM from people is hostile.
#pragma once

#include "base/result.h"

#include <string>
#include <vector>

namespace lom::web {

/// Writes a self-signed certificate for `names`, localhost and this machine's own names and
/// addresses, and its key, to `path` (0600).
Result<void> generate_certificate(const std::string& path, const std::vector<std::string>& names);
/// Facts as JSON about the first certificate of `pem`; a fault if a server could not use it.
Result<std::string> certificate_facts(const std::string& pem);

} // namespace lom::web
