// The administrator's word on where images and loaded files may come from; media::ImagePolicy is
// what it comes to for one of them. Loop thread only.
#pragma once

#include "sp/tree/roles.h"
#include "sp/tree/settings.h"

#include <string>
#include <vector>

namespace lom {

/// Who may name the service processor's own machine as the server.
enum class LoopbackImages { admin, nobody };
template <>
struct Names<LoopbackImages> {
    static constexpr const char* all[] = {"admin", "nobody"};
    static constexpr const char* docs[] = {"Accounts with the role a.", "Nobody."};
};

struct ImagePolicySettings {
    explicit ImagePolicySettings(Settings& store)
        : allowed_addresses(store, "image_policy/allowed_addresses", {}),
          allowed_folder(store, "image_policy/allowed_folder", ""),
          allowed_schemes(store, "image_policy/allowed_schemes", {}),
          loopback(store, "image_policy/loopback", LoopbackImages::admin),
          tls_ca(store, "image_policy/tls_ca", "") {}

    Setting<std::vector<std::string>> allowed_addresses; ///< empty: any
    Setting<std::string> allowed_folder;                 ///< of images by file:; empty: none
    Setting<std::vector<std::string>> allowed_schemes;   ///< empty: any
    Setting<LoopbackImages> loopback;
    /// Of https servers for which nobody has named others; in one line, empty: the machine's.
    Setting<std::string> tls_ca;

    /// What can be told of `uri` before anybody connects.
    Result<void> check(const std::string& uri, Roles of_who_names_it) const;
    /// lom-media's, which checks again what names and redirects lead to.
    std::vector<std::string> options(Roles of_who_names_it) const;
};

/// Whether it is, in one line, what tls_ca can be.
Result<void> check_authorities(const std::string& pem);

} // namespace lom
