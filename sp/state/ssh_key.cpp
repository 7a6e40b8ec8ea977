#include "sp/state/ssh_key.h"

#include "base/base64.h"
#include "base/c_ptr.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

namespace lom {

namespace {

using Key = CPtr<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = CPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using DigestContext = CPtr<EVP_MD_CTX, EVP_MD_CTX_free>;
using Number = CPtr<BIGNUM, BN_free>;
using Builder = CPtr<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = CPtr<OSSL_PARAM, OSSL_PARAM_free>;

/// Takes SSH's strings off the front of hostile bytes.
class WireReader {
  public:
    explicit WireReader(std::string_view bytes) : left_(bytes) {}

    std::string_view string() {
        if (left_.size() < 4)
            return fail();
        std::size_t size = 0;
        for (std::size_t i = 0; i < 4; ++i)
            size = size << 8U | static_cast<unsigned char>(left_[i]);
        if (left_.size() - 4 < size)
            return fail();
        const std::string_view found = left_.substr(4, size);
        left_.remove_prefix(4 + size);
        return found;
    }

    unsigned byte() {
        if (left_.empty())
            return fail(), 0;
        const auto value = static_cast<unsigned char>(left_.front());
        left_.remove_prefix(1);
        return value;
    }

    bool at_end() const { return good_ && left_.empty(); }

  private:
    std::string_view fail() {
        good_ = false;
        left_ = {};
        return {};
    }

    std::string_view left_;
    bool good_ = true;
};

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

struct Curve {
    const char* ssh_name; ///< in the key
    const char* algorithm;
    const char* group; ///< libcrypto's name
    const EVP_MD* (*digest)();
    int bits;
};
constexpr std::array curves{
    Curve{"nistp256", "ecdsa-sha2-nistp256", "P-256", EVP_sha256, 256},
    Curve{"nistp384", "ecdsa-sha2-nistp384", "P-384", EVP_sha384, 384},
    Curve{"nistp521", "ecdsa-sha2-nistp521", "P-521", EVP_sha512, 521},
};

const Curve* curve_of(std::string_view algorithm) {
    for (const Curve& curve : curves)
        if (algorithm == curve.algorithm)
            return &curve;
    return nullptr;
}

Key key_from(const char* type, OSSL_PARAM_BLD* builder) {
    const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
    const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) <= 0 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) <= 0)
        return nullptr;
    return Key(key);
}

Key read_ed25519(WireReader& reader) {
    const std::string_view point = reader.string();
    if (!reader.at_end() || point.size() != 32)
        return nullptr;
    return Key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(point), 32));
}

Key read_ecdsa(WireReader& reader, const Curve& curve) {
    const std::string_view name = reader.string();
    const std::string_view point = reader.string();
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!reader.at_end() || name != curve.ssh_name || !builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group,
                                        0) <= 0 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) <= 0)
        return nullptr;
    return key_from("EC", builder.get());
}

Key read_rsa(WireReader& reader) {
    const std::string_view exponent = reader.string();
    const std::string_view modulus = reader.string();
    if (!reader.at_end() || exponent.size() > 8 || modulus.size() > 2049)
        return nullptr; // a large exponent makes each check slow
    const auto number = [](std::string_view bytes) {
        return Number(BN_bin2bn(bytes_of(bytes), static_cast<int>(bytes.size()), nullptr));
    };
    const Number e = number(exponent);
    const Number n = number(modulus);
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!e || !n || !builder ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) <= 0 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) <= 0)
        return nullptr;
    return key_from("RSA", builder.get());
}

Key read_key(std::string_view blob) {
    WireReader reader(blob);
    const std::string_view algorithm = reader.string();
    if (algorithm == "ssh-ed25519")
        return read_ed25519(reader);
    if (algorithm == "ssh-rsa")
        return read_rsa(reader);
    const Curve* curve = curve_of(algorithm);
    return curve == nullptr ? nullptr : read_ecdsa(reader, *curve);
}

/// The digest of a signature algorithm that suits the key; outer nullopt: it does not.
std::optional<const EVP_MD*> digest_for(const SshPublicKey& key, std::string_view algorithm) {
    if (key.algorithm == "ssh-rsa") { // never SHA-1
        if (algorithm == "rsa-sha2-256")
            return EVP_sha256();
        if (algorithm == "rsa-sha2-512")
            return EVP_sha512();
        return std::nullopt;
    }
    if (algorithm != key.algorithm)
        return std::nullopt;
    const Curve* curve = curve_of(algorithm);
    return curve == nullptr ? nullptr : curve->digest();
}

/// Texts that people and terminals will see.
std::string printable(std::string_view text) {
    constexpr std::size_t longest = 128;
    std::string clean(text.substr(0, longest));
    for (char& c : clean)
        if (c < ' ' || c > '~')
            c = '?';
    return clean;
}

} // namespace

Result<SshPublicKey> SshPublicKey::from_blob(std::string_view blob) {
    constexpr int fewest_rsa_bits = 2048;
    const Fault unknown{FaultKind::invalid_value,
                        "This is not a public key that can be used: ssh-ed25519, "
                        "ecdsa-sha2-nistp256/384/521 and ssh-rsa from 2048 bits are."};
    const Key key = read_key(blob);
    if (!key)
        return unknown;
    SshPublicKey result;
    result.blob = std::string(blob);
    result.algorithm = std::string(WireReader(blob).string());
    const Curve* curve = curve_of(result.algorithm);
    result.bits = result.algorithm == "ssh-ed25519" ? 256
                  : curve != nullptr                ? curve->bits
                                                    : EVP_PKEY_get_bits(key.get());
    if (result.algorithm == "ssh-rsa" && result.bits < fewest_rsa_bits)
        return unknown;
    return result;
}

Result<SshPublicKey> SshPublicKey::parse(std::string_view line) {
    const auto word = [&line] {
        line.remove_prefix(std::min(line.find_first_not_of(" \t\r\n"), line.size()));
        const std::string_view found = line.substr(0, line.find_first_of(" \t\r\n"));
        line.remove_prefix(found.size());
        return found;
    };
    const std::string_view algorithm = word();
    const auto blob = from_base64(word());
    if (!blob)
        return Fault{FaultKind::invalid_value,
                     "A public key is a line as in a .pub file: TYPE BASE64 COMMENT."};
    auto key = from_blob(*blob);
    if (key && key->algorithm != algorithm)
        return Fault{FaultKind::invalid_value, "The key's type and its content do not agree."};
    if (key) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t\r\n"), line.size()));
        line = line.substr(0, line.find_last_not_of(" \t\r\n") + 1);
        key->comment = printable(line);
    }
    return key;
}

std::string SshPublicKey::fingerprint() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(blob.data(), blob.size(), digest.data(), &size, EVP_sha256(), nullptr);
    std::string text = to_base64({reinterpret_cast<const char*>(digest.data()), size});
    while (text.ends_with('='))
        text.pop_back();
    return "SHA256:" + text;
}

std::string SshPublicKey::line() const {
    return algorithm + " " + to_base64(blob) + (comment.empty() ? "" : " " + comment);
}

bool proves(const KeyProof& proof, const SshPublicKey& key, const std::string& username) {
    constexpr unsigned userauth_request = 50;
    constexpr std::size_t shortest_session = 20; // a digest
    WireReader reader(proof.signed_data);
    const bool session = reader.string().size() >= shortest_session;
    const bool request = reader.byte() == userauth_request;
    const bool name = reader.string() == username;
    const bool service = reader.string() == "ssh-connection";
    const bool method = reader.string() == "publickey";
    const bool has_signature = reader.byte() == 1;
    const auto digest = digest_for(key, reader.string());
    const bool same_key = reader.string() == key.blob;
    if (!reader.at_end() || !session || !request || !name || !service || !method ||
        !has_signature || !digest || !same_key)
        return false;
    const Key verifier = read_key(key.blob);
    const DigestContext context(EVP_MD_CTX_new());
    return verifier && context &&
           EVP_DigestVerifyInit(context.get(), nullptr, *digest, nullptr, verifier.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes_of(proof.signature), proof.signature.size(),
                            bytes_of(proof.signed_data), proof.signed_data.size()) == 1;
}

} // namespace lom
