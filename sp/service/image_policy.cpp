#include "sp/service/image_policy.h"

#include "kvms/media/sources/image_policy.h"

namespace lom {

namespace {

constexpr std::size_t longest_authorities = 48U << 10U;

bool may_name_loopback(const ImagePolicySettings& settings, Roles roles) {
    return *settings.loopback == LoopbackImages::admin && roles.intersects(Role::admin);
}

} // namespace

Result<void> ImagePolicySettings::check(const std::string& text, Roles roles) const {
    const auto uri = media::parse_image_uri(text);
    if (!uri)
        return uri.fault();
    media::ImagePolicy policy{may_name_loopback(*this, roles), *allowed_schemes, {}};
    for (const std::string& network : *allowed_addresses)
        if (const auto parsed = media::parse_network(network))
            policy.networks.push_back(*parsed);
    return policy.check(*uri);
}

std::vector<std::string> ImagePolicySettings::options(Roles roles) const {
    std::vector<std::string> options;
    if (may_name_loopback(*this, roles))
        options.emplace_back("--allow-loopback");
    for (const std::string& network : *allowed_addresses)
        options.push_back("--allowed-address=" + network);
    if (!allowed_folder->empty())
        options.push_back("--allowed-folder=" + *allowed_folder);
    for (const std::string& scheme : *allowed_schemes)
        options.push_back("--allowed-scheme=" + scheme);
    return options;
}

Result<void> check_authorities(const std::string& pem) {
    if (pem.empty() ||
        (pem.size() <= longest_authorities && pem.starts_with("-----BEGIN CERTIFICATE-----")))
        return {};
    return Fault{FaultKind::invalid_value,
                 "Give certificates as PEM in one line, newlines as \\n: -----BEGIN "
                 "CERTIFICATE-----\\n..., at most 48 KiB."};
}

} // namespace lom
