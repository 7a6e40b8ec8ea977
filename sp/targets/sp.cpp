// /SP: the service processor itself.
#include "sp/targets/targets.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace lom {

namespace {

Result<void> check_hostname(const std::string& name) {
    const bool fine =
        name.empty() ||
        (name.size() <= 60 && std::isalpha(static_cast<unsigned char>(name[0])) != 0 &&
         std::all_of(name.begin(), name.end(), [](char c) {
             return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
         }));
    if (!fine)
        return Fault{FaultKind::invalid_value,
                     "A host name begins with a letter and has letters, digits, '-' and '_', 60 at "
                     "most."};
    return {};
}

Result<void> check_label(const std::string& text) {
    if (text.size() > 127)
        return Fault{FaultKind::invalid_value, "The text has 127 characters at most."};
    return {};
}

} // namespace

SpSettings::SpSettings(Settings& store)
    : hostname(store, "sp/hostname", ""), system_identifier(store, "sp/system_identifier", ""),
      system_contact(store, "sp/system_contact", ""),
      system_location(store, "sp/system_location", "") {}

std::string SpSettings::current_hostname() const {
    if (!hostname->empty())
        return *hostname;
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

Target::Ptr sp_target(const TargetContext& context, const Target::Ptr& console) {
    auto target = Target::make("SP", "The service processor: accounts, services, logs.");
    SpSettings& sp = context.sp;
    target->shows<std::string>("current_hostname", "The name in effect.",
                               [&sp] { return sp.current_hostname(); });
    target->persistent<std::string>(sp.hostname,
                                    {.name = "hostname",
                                     .doc = "Name of the service processor; empty: the "
                                            "name of the machine it runs on.",
                                     .write = Role::admin,
                                     .check = check_hostname});
    target->persistent<std::string>(sp.system_contact, {.name = "system_contact",
                                                        .doc = "Whom to ask about this system.",
                                                        .write = Role::admin,
                                                        .check = check_label});
    target->shows<std::string>("system_description", "Product and version.", [] {
        return std::string("OpenLOM service processor, v" LOM_VERSION);
    });
    target->persistent<std::string>(sp.system_identifier, {.name = "system_identifier",
                                                           .doc = "A label of your own.",
                                                           .write = Role::admin,
                                                           .check = check_label});
    target->persistent<std::string>(sp.system_location, {.name = "system_location",
                                                         .doc = "Where this system stands.",
                                                         .write = Role::admin,
                                                         .check = check_label});
    target->shows<std::string>("uptime", "Since the service processor started.", uptime_text);
    target->shows<std::string>("version", "Version of the service processor's software.",
                               [] { return std::string(LOM_VERSION); });
    target->verb({.name = "reset",
                  .doc = "Restarts the service processor; hosts run on.",
                  .role = Role::admin | Role::reset,
                  .run = [reset = context.reset_sp](const VerbCall&, const std::string& path,
                                                    const Verb::Done& done) {
                      done(VerbOutcome{.message = "Performing reset on " + path});
                      reset();
                  }});
    auto services = Target::make("services", "What the service processor offers.");
    auto kvms = Target::make("kvms", "Keyboard, video, mouse and storage redirection.");
    add_kvms_properties(*kvms, context);
    add_media_devices(*kvms, context);
    kvms->child(image_policy_target(context.image_policy));
    services->child(services_https_target(context));
    services->child(kvms);
    services->child(services_ssh_target(context));
    target->link("console", console); // as on ILOM: both names reach the same console
    target->child(cli_target(context));
    target->child(alertmgmt_target(context));
    target->child(clock_target());
    target->child(faultmgmt_target(context));
    target->child(logs_target(context));
    target->child(media_target(context));
    target->child(network_target(context));
    target->child(preferences_target(context));
    target->child(services);
    target->child(sessions_target(context));
    target->child(users_target(context));
    return target;
}

} // namespace lom
