// Where an image may never be fetched from, whatever its name resolves to: the SP must not be
// anybody's way to addresses that only its own machine reaches. Pure; any thread.
#pragma once

struct sockaddr;

namespace lom::media {

/// Link-local addresses, among them the metadata services of clouds, and "this host" (0.0.0.0, ::).
bool is_forbidden(const sockaddr& address);

constexpr const char* forbidden_words =
    "The server's address is link-local or unspecified; images are not fetched from there.";

} // namespace lom::media
