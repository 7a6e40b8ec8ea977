// /SP/alertmgmt/webhooks: whom to tell of changes by HTTP.
#include "sp/targets/targets.h"

namespace lom {

namespace {

Result<SetOutcome> outcome(const Result<void>& done) {
    return done ? Result<SetOutcome>(SetOutcome{}) : done.fault();
}

Target::Managed<std::string> text_property(const char* name, const char* doc) {
    return {.name = name, .doc = doc, .write = Role::admin};
}

Target::Managed<Switch> verify_property() {
    return {.name = "verify_certificate",
            .doc = "Whether the receiver's certificate must be one that this machine trusts.",
            .write = Role::admin};
}

constexpr const char* destination_doc = "https://HOST[:PORT]/PATH; events are posted there.";
constexpr const char* context_doc = "A text of the receiver's own, told with each event.";
constexpr const char* secret_doc =
    "Signs each event: X-OpenLOM-Signature is sha256= and the HMAC of the body; empty: unsigned.";

Target::Ptr webhook_target(Webhooks& hooks, const Webhook& hook) {
    auto target = Target::make(hook.name, "Somebody who is told of changes.");
    const auto text = [&](const char* name, const char* doc, std::string Webhook::*member) {
        auto property = text_property(name, doc);
        property.secret = member == &Webhook::secret;
        property.get = [hook, member] { return hook.*member; };
        property.set = [&hooks, hook, member](const Caller&, const std::string& value,
                                              const Property::Done& done) {
            Webhook changed = hook;
            changed.*member = value;
            done(outcome(hooks.put(changed)));
        };
        target->managed<std::string>(std::move(property));
    };
    text("context", context_doc, &Webhook::context);
    text("destination", destination_doc, &Webhook::destination);
    text("secret", secret_doc, &Webhook::secret);
    target->shows<std::string>("status", "What became of the last event.",
                               [&hooks, name = hook.name] { return hooks.status(name); });
    auto verify = verify_property();
    verify.get = [hook] { return hook.verify ? Switch::enabled : Switch::disabled; };
    verify.set = [&hooks, hook](const Caller&, Switch value, const Property::Done& done) {
        Webhook changed = hook;
        changed.verify = value == Switch::enabled;
        done(outcome(hooks.put(changed)));
    };
    target->managed<Switch>(std::move(verify));
    target->verb({.name = "delete",
                  .doc = "Tells this one no more.",
                  .role = Role::admin,
                  .run = [&hooks, name = hook.name](const VerbCall&, const std::string& path,
                                                    const Verb::Done& done) {
                      const auto removed = hooks.remove(name);
                      done(removed ? Result<VerbOutcome>(VerbOutcome{.message = "Deleted " + path})
                                   : removed.fault());
                  }});
    return target;
}

void create(Webhooks& hooks, const VerbCall& call, const std::string& path,
            const Verb::Done& done) {
    Webhook hook{.name = call.new_name};
    for (const auto& [name, value] : call.properties) {
        if (name == "destination")
            hook.destination = std::get<std::string>(value);
        else if (name == "context")
            hook.context = std::get<std::string>(value);
        else if (name == "secret")
            hook.secret = std::get<std::string>(value);
        else
            hook.verify = Codec<Switch>::unwrap(value) == Switch::enabled;
    }
    const auto made = hooks.put(hook);
    done(made ? Result<VerbOutcome>(VerbOutcome{.message = "Created " + path}) : made.fault());
}

} // namespace

Target::Ptr alertmgmt_target(const TargetContext& context) {
    Webhooks& hooks = context.webhooks;
    auto list = Target::make("webhooks", "Who is told of changes by HTTP.");
    list->dynamic_children([&hooks] {
        std::vector<Target::Ptr> children;
        for (const Webhook& hook : hooks.list())
            children.push_back(webhook_target(hooks, hook));
        return children;
    });
    auto destination = text_property("destination", destination_doc);
    destination.required = true;
    auto secret = text_property("secret", secret_doc);
    secret.secret = true;
    list->verb({.name = "create",
                .doc = "Adds one: create /SP/alertmgmt/webhooks/NAME destination=https://...",
                .role = Role::admin,
                .asks = false,
                .run = [&hooks](const VerbCall& call, const std::string& path,
                                const Verb::Done& done) { create(hooks, call, path, done); },
                .takes = {Target::property_of<std::string>(std::move(destination)),
                          Target::property_of<std::string>(text_property("context", context_doc)),
                          Target::property_of<std::string>(std::move(secret)),
                          Target::property_of<Switch>(verify_property())}});
    auto target = Target::make("alertmgmt", "Telling others what happens.");
    target->child(list);
    return target;
}

} // namespace lom
