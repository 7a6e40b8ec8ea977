#include "web/certificate.h"

#include "base/c_ptr.h"
#include "base/files.h"

#include <boost/json.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <memory>
#include <set>

namespace lom::web {

namespace {

using Key = CPtr<EVP_PKEY, EVP_PKEY_free>;
using Certificate = CPtr<X509, X509_free>;
using Bio = CPtr<BIO, BIO_free_all>;
using Context = CPtr<SSL_CTX, SSL_CTX_free>;

constexpr long days_valid = 825;

std::string text_of(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(std::max(size, 0L))};
}

Bio bio_of(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string subject_names(const std::vector<std::string>& wanted) {
    std::set<std::string> names{"localhost", "127.0.0.1", "::1"};
    for (const std::string& name : wanted)
        if (!name.empty() && name != "0.0.0.0" && name != "::")
            names.insert(name);
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    names.insert(host.data());
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) == 0) {
        for (const ifaddrs* entry = all; entry != nullptr; entry = entry->ifa_next) {
            std::array<char, INET6_ADDRSTRLEN> text{};
            if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(entry->ifa_addr)->sin_addr,
                          text.data(), text.size()) != nullptr)
                names.insert(text.data());
        }
        freeifaddrs(all);
    }
    std::string list;
    for (const std::string& name : names) {
        std::array<unsigned char, 16> address{};
        const bool numeric = inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
                             inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
        // Underscores and the like would make the whole certificate unusable.
        const bool fine =
            numeric || name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789-.") == std::string::npos;
        if (fine && !name.empty())
            list += (list.empty() ? "" : ",") + std::string(numeric ? "IP:" : "DNS:") + name;
    }
    return list;
}

bool extend(X509* certificate, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    if (extension == nullptr)
        return false;
    const bool added = X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

Certificate self_signed(EVP_PKEY* key, const std::vector<std::string>& names) {
    Certificate certificate(X509_new());
    X509* x = certificate.get();
    std::array<unsigned char, 16> serial{};
    RAND_bytes(serial.data(), serial.size());
    serial[0] = static_cast<unsigned char>(serial[0] & 0x7fU);
    BIGNUM* number = BN_bin2bn(serial.data(), serial.size(), nullptr);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600); // clocks of browsers differ a little
    X509_gmtime_adj(X509_getm_notAfter(x), days_valid * 24 * 3600);
    X509_set_pubkey(x, key);
    X509_NAME* name = X509_get_subject_name(x);
    const std::string common = names.empty() ? "localhost" : names[0].substr(0, 64);
    const auto add = [name](const char* field, const std::string& value) {
        X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1,
                                   0);
    };
    add("O", "OpenLOM");
    add("CN", common);
    X509_set_issuer_name(x, name);
    const bool extended = extend(x, NID_basic_constraints, "critical,CA:FALSE") &&
                          extend(x, NID_key_usage, "critical,digitalSignature") &&
                          extend(x, NID_ext_key_usage, "serverAuth") &&
                          extend(x, NID_subject_key_identifier, "hash") &&
                          extend(x, NID_subject_alt_name, subject_names(names));
    if (!extended || X509_sign(x, key, EVP_sha256()) == 0)
        certificate.reset();
    return certificate;
}

std::string time_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return "";
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

std::string name_text(const X509_NAME* name) {
    const Bio bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0,
                       XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    return text_of(bio);
}

std::string alternative_names(X509* certificate) {
    const Bio bio(BIO_new(BIO_s_mem()));
    const int at = X509_get_ext_by_NID(certificate, NID_subject_alt_name, -1);
    if (at >= 0)
        X509V3_EXT_print(bio.get(), X509_get_ext(certificate, at), 0, 0);
    return text_of(bio);
}

std::string fingerprint(X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate, EVP_sha256(), digest.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += i == 0 ? "" : ":";
        text += "0123456789ABCDEF"[digest[i] >> 4U];
        text += "0123456789ABCDEF"[digest[i] & 15U];
    }
    return text;
}

Fault unusable(const std::string& why) { return {FaultKind::invalid_value, why}; }

/// What TLS itself says to the pair, with the same strength rules as the running server.
Result<void> usable_by_a_server(const std::string& pem, X509* certificate) {
    const Bio bio = bio_of(pem);
    const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    if (!key)
        return unusable("There is no private key in the text, or it has a passphrase; give "
                        "certificate and key in PEM, the key without a passphrase.");
    const Context context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_set_security_level(context.get(), 2);
    if (SSL_CTX_use_certificate(context.get(), certificate) != 1)
        return unusable("The certificate's key or signature is too weak for TLS; use RSA of at "
                        "least 2048 bits or ECDSA, signed with SHA-256 or better.");
    if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1)
        return unusable("The private key does not belong to the first certificate in the text.");
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return unusable("The certificate has expired on " +
                        time_text(X509_get0_notAfter(certificate)) + ".");
    return {};
}

} // namespace

Result<void> generate_certificate(const std::string& path, const std::vector<std::string>& names) {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate = key ? self_signed(key.get(), names) : nullptr;
    const Bio bio(BIO_new(BIO_s_mem()));
    if (!certificate || PEM_write_bio_X509(bio.get(), certificate.get()) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                      nullptr) != 1)
        return Fault{FaultKind::internal, "OpenSSL cannot make a certificate."};
    return write_file_durably(path, text_of(bio), 0600);
}

Result<std::string> certificate_facts(const std::string& pem) {
    const Bio bio = bio_of(pem);
    const Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate)
        return unusable("There is no certificate in PEM in the text.");
    if (const auto usable = usable_by_a_server(pem, certificate.get()); !usable)
        return usable.fault();
    X509* x = certificate.get();
    return boost::json::serialize(
        boost::json::object{{"subject", name_text(X509_get_subject_name(x))},
                            {"issuer", name_text(X509_get_issuer_name(x))},
                            {"names", alternative_names(x)},
                            {"valid_from", time_text(X509_get0_notBefore(x))},
                            {"valid_until", time_text(X509_get0_notAfter(x))},
                            {"fingerprint", fingerprint(x)}});
}

} // namespace lom::web
