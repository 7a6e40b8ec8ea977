#include "shell/ssh/host_key.h"

#include "base/fd.h"
#include "base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace lom::shell {

namespace {

Result<void> write_private(ssh_key key, const std::string& path) {
    char* text = nullptr;
    if (ssh_pki_export_privkey_base64(key, nullptr, nullptr, nullptr, &text) != SSH_OK)
        return Fault{FaultKind::internal, "Cannot write the new key as text."};
    const std::string content(text);
    explicit_bzero(text, content.size());
    ssh_string_free_char(text);
    return write_file_durably(path, content, 0600);
}

Result<void> write_public(ssh_key key, const std::string& path) {
    char* text = nullptr;
    if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK)
        return Fault{FaultKind::internal, "Cannot write the public key as text."};
    const std::string line = ssh_key_type_to_char(ssh_key_type(key)) + std::string(" ") + text;
    ssh_string_free_char(text);
    return write_file_durably(path, line + " openlom\n", 0644);
}

} // namespace

Result<void> generate_host_key(const std::string& path, const std::string& type) {
    constexpr int rsa_bits = 3072;
    ssh_key raw = nullptr;
    if (const UniqueFd old{open(path.c_str(), O_RDONLY | O_CLOEXEC)}) {
        const auto key = read_host_key(old.get());
        return key ? write_public(key->get(), path + ".pub") : key.fault();
    }
    const bool rsa = type == "rsa";
    if (ssh_pki_generate(rsa ? SSH_KEYTYPE_RSA : SSH_KEYTYPE_ED25519, rsa ? rsa_bits : 0, &raw) !=
        SSH_OK)
        return Fault{FaultKind::internal, "Cannot make a key."};
    const SshKey key(raw);
    const auto written = write_private(key.get(), path);
    return written ? write_public(key.get(), path + ".pub") : written;
}

Result<SshKey> read_host_key(int fd) {
    constexpr std::size_t longest = 64U << 10U;
    std::string text;
    std::array<char, 4096> buffer; // NOLINT: filled by read
    ssize_t count = 0;
    while (text.size() < longest && (count = read(fd, buffer.data(), buffer.size())) > 0)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    ssh_key key = nullptr;
    const int imported =
        ssh_pki_import_privkey_base64(text.c_str(), nullptr, nullptr, nullptr, &key);
    explicit_bzero(text.data(), text.size());
    explicit_bzero(buffer.data(), buffer.size());
    if (imported != SSH_OK)
        return Fault{FaultKind::internal, "The SSH host key cannot be read."};
    return SshKey(key);
}

} // namespace lom::shell
