// /SP/services/kvms/image_policy: where images, and files to load, may come from.
#include "kvms/media/sources/image_policy.h"
#include "kvms/media/sources/uri.h"
#include "sp/targets/targets.h"

#include <algorithm>

namespace lom {

namespace {

Result<void> check_networks(const std::vector<std::string>& networks) {
    for (const std::string& text : networks)
        if (const auto network = media::parse_network(text); !network)
            return network.fault();
    return {};
}

Result<void> check_schemes(const std::vector<std::string>& schemes) {
    for (const std::string& scheme : schemes)
        if (std::find(media::schemes.begin(), media::schemes.end(), scheme) ==
            media::schemes.end()) {
            std::string all;
            for (const std::string_view known : media::schemes)
                all += (all.empty() ? "" : ", ") + std::string(known);
            return Fault{FaultKind::invalid_value, "The schemes are " + all + "."};
        }
    return {};
}

Result<void> check_folder(const std::string& folder) {
    if (folder.empty() || folder.front() == '/')
        return {};
    return Fault{FaultKind::invalid_value, "Give the whole path of a folder, or nothing."};
}

} // namespace

Target::Ptr image_policy_target(ImagePolicySettings& settings) {
    auto target = Target::make(
        "image_policy", "Where images, and files to load, may come from. What changes here counts "
                        "for those that are named or inserted from then on. Link-local addresses "
                        "and the metadata services of clouds are never asked.");
    target->persistent<std::vector<std::string>>(
        settings.allowed_addresses,
        {.name = "allowed_addresses",
         .doc = "Networks and addresses such as 10.0.0.0/8,2001:db8::/32; empty: any.",
         .write = Role::admin,
         .check = check_networks});
    target->persistent<std::string>(
        settings.allowed_folder,
        {.name = "allowed_folder",
         .doc = "Folder of the service processor's machine that images may come from by "
                "file:///PATH; every user of that machine must be able to read them. Empty: none.",
         .write = Role::admin,
         .check = check_folder});
    target->persistent<std::vector<std::string>>(settings.allowed_schemes,
                                                 {.name = "allowed_schemes",
                                                  .doc = "Such as https,sshfs; empty: any.",
                                                  .write = Role::admin,
                                                  .check = check_schemes});
    target->persistent<LoopbackImages>(
        settings.loopback,
        {.name = "loopback",
         .doc = "Who may name the service processor's own machine (127.0.0.1, localhost). admin: "
                "accounts with the role a.",
         .write = Role::admin});
    target->persistent<std::string>(
        settings.tls_ca,
        {.name = "tls_ca",
         .doc = "Certificates of the authorities that https servers are checked by where a "
                "device names none of its own: PEM in one line, newlines as \\n; empty: those of "
                "the service processor's machine.",
         .write = Role::admin,
         .check = check_authorities});
    return target;
}

} // namespace lom
