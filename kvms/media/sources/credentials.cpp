#include "kvms/media/sources/credentials.h"

#include "base/fd.h"

#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parse.hpp>

#include <array>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace json = boost::json;

namespace lom::media {

namespace {

constexpr std::size_t max_size = 64U << 10U;

/// A buffer on the heap that is wiped when it goes.
struct Wiped {
    explicit Wiped(std::size_t size) : bytes(size, '\0') {}
    ~Wiped() { explicit_bzero(bytes.data(), bytes.size()); }
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    std::string bytes;
};

Fault unusable(const std::string& why) {
    return {FaultKind::usage, "The credentials cannot be used: " + why + "."};
}

Result<std::string> member(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    if (value == nullptr || value->is_null())
        return std::string();
    if (!value->is_string())
        return unusable(std::string(name) + " must be a string");
    const json::string& text = value->get_string();
    if (text.find('\0') != json::string::npos)
        return unusable(std::string(name) + " must not contain NUL");
    return std::string(text);
}

} // namespace

void Credentials::wipe() {
    for (std::string* secret : {&username, &password, &ssh_key})
        explicit_bzero(secret->data(), secret->size());
}

Result<Credentials> parse_credentials(std::string_view text) {
    Wiped memory(4 * max_size); // so that the parser's copies are wiped too
    json::monotonic_resource resource(reinterpret_cast<unsigned char*>(memory.bytes.data()),
                                      memory.bytes.size());
    boost::system::error_code error;
    const json::value value = json::parse(text, error, &resource);
    if (error || !value.is_object())
        return unusable("they must be one JSON object");
    Credentials credentials;
    for (const auto& [name, target] : {std::pair{"username", &credentials.username},
                                       std::pair{"password", &credentials.password},
                                       std::pair{"ssh_key", &credentials.ssh_key}}) {
        auto text_of = member(value.get_object(), name);
        if (!text_of)
            return text_of.fault();
        *target = std::move(*text_of);
    }
    return credentials;
}

Result<Credentials> read_credentials(int fd) {
    const UniqueFd owned(fd);
    Wiped text(max_size);
    std::size_t size = 0;
    while (size < max_size) {
        const ssize_t count = ::read(owned.get(), text.bytes.data() + size, max_size - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return unusable(std::string("reading them failed with ") + std::strerror(errno));
        if (count == 0)
            return parse_credentials(std::string_view(text.bytes).substr(0, size));
        size += static_cast<std::size_t>(count);
    }
    return unusable("they are longer than 64 KiB");
}

} // namespace lom::media
