// /SP/services/https: the web page and Redfish, their port and their certificate.
#include "sp/service/one_line.h"
#include "sp/targets/targets.h"
#include "sp/targets/transfer_verbs.h"

namespace lom {

namespace {

Result<SetOutcome> outcome(const Result<void>& done) {
    return done ? Result<SetOutcome>(SetOutcome{}) : done.fault();
}

Target::Ptr ssl_target(WebDoor& web, Transfers& transfers) {
    auto target = Target::make("ssl", "The certificate of the web page and Redfish.");
    target->shows<std::string>("cert_status", "Which certificate is in use.", [&web] {
        return std::string(web.certificate().is_custom()
                               ? "Using Custom Certificate"
                               : "Using Default (No custom certificate or private key loaded)");
    });
    const auto fact = [&](const char* name, const char* doc,
                          std::string CertificateFacts::*member) {
        target->shows<std::string>(name, doc,
                                   [&web, member] { return web.certificate().facts().*member; });
    };
    fact("subject", "Whom the certificate names.", &CertificateFacts::subject);
    fact("issuer", "Who signed it.", &CertificateFacts::issuer);
    fact("names", "The names and addresses that it is valid for.", &CertificateFacts::names);
    fact("valid_from", "The first moment that it is valid.", &CertificateFacts::valid_from);
    fact("valid_until", "The last moment that it is valid.", &CertificateFacts::valid_until);
    fact("fingerprint", "SHA-256 of the certificate.", &CertificateFacts::fingerprint);
    target->managed<std::string>(
        {.name = "custom_certificate",
         .doc = "A certificate and its private key in PEM, in one line: newlines as \\n. Checked "
                "before it replaces the one in use.",
         .write = Role::admin,
         .secret = true,
         .set = [&web](const Caller&, const std::string& pem, const Property::Done& done) {
             web.certificate().load(with_newlines(pem),
                                    [done](const Result<void>& r) { done(outcome(r)); });
         }});
    target->managed<bool>({.name = "clear_action",
                           .doc = "Set to true to go back to the default certificate.",
                           .write = Role::admin,
                           .set = [&web](const Caller&, bool clear, const Property::Done& done) {
                               done(outcome(clear ? web.certificate().clear() : Result<void>()));
                           }});
    target->verb(load_verb(
        transfers, "Loads a certificate and its private key, both in one PEM file.", Role::admin,
        [&web](const Caller&, const std::string& pem, const Property::Done& done) {
            web.certificate().load(pem, [done](const Result<void>& r) { done(outcome(r)); });
        }));
    return target;
}

} // namespace

Target::Ptr services_https_target(const TargetContext& context) {
    WebDoor& web = context.web;
    auto target = Target::make("https", "The web page and Redfish.");
    target->managed<std::int64_t>(
        {.name = "port",
         .doc = "TCP port.",
         .write = Role::admin,
         .get = [&web] { return web.wanted_port(); },
         .set = [&web](const Caller&, std::int64_t port,
                       const Property::Done& done) { done(outcome(web.set_port(port))); }});
    target->managed<Switch>({.name = "servicestate",
                             .doc = "Whether anybody can come in this way.",
                             .write = Role::admin,
                             .get = [&web] { return web.service_state(); },
                             .set =
                                 [&web](const Caller&, Switch state, const Property::Done& done) {
                                     done(outcome(web.set_service_state(state)));
                                 }});
    target->managed<std::int64_t>(
        {.name = "sessiontimeout",
         .doc = "Minutes without a request after which a session ends, 1 to 720.",
         .write = Role::admin,
         .get = [&web] { return web.session_minutes(); },
         .set =
             [&web](const Caller&, std::int64_t minutes, const Property::Done& done) {
                 done(outcome(web.set_session_minutes(minutes)));
             }});
    target->child(ssl_target(web, context.transfers));
    return target;
}

} // namespace lom
