#include "shell/ssh/signature_tap.h"

#include <openssl/evp.h>

#include <dlfcn.h>

#include <utility>

namespace lom::shell {

namespace {

std::optional<CheckedSignature> last;

} // namespace

std::optional<CheckedSignature> take_checked_signature() {
    return std::exchange(last, std::nullopt);
}

} // namespace lom::shell

// libssh's calls land here, because the program's own symbols come before those of libraries.
int EVP_DigestVerify(EVP_MD_CTX* context, const unsigned char* signature, std::size_t size,
                     const unsigned char* data, std::size_t data_size) {
    using Function =
        int (*)(EVP_MD_CTX*, const unsigned char*, std::size_t, const unsigned char*, std::size_t);
    static const auto original = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "EVP_DigestVerify"));
    const int good = original == nullptr ? -1 : original(context, signature, size, data, data_size);
    const auto text = [](const unsigned char* bytes, std::size_t length) {
        return std::string(reinterpret_cast<const char*>(bytes), length);
    };
    lom::shell::last.reset();
    if (good == 1)
        lom::shell::last = {text(data, data_size), text(signature, size)};
    return good;
}
