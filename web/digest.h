// Digests and random names by OpenSSL; any thread.
#pragma once

#include <string>
#include <string_view>

namespace lom::web {

std::string sha256_hex(std::string_view bytes);
/// Keyed, for what a receiver checks.
std::string hmac_sha256_hex(std::string_view key, std::string_view bytes);
std::string random_hex(std::size_t bytes);
/// In constant time.
bool equal_secrets(std::string_view a, std::string_view b);

} // namespace lom::web
