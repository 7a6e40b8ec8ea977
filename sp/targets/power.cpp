// start, stop, reset of the host: the same verbs on /System and /SYS.
#include "sp/targets/targets.h"

namespace lom {

namespace {

/// Turns the host's answer into ILOM's line.
vmm::Host::Done say(std::string message, Verb::Done done) {
    return [message = std::move(message), done = std::move(done)](const Result<void>& result) {
        done(result ? Result<VerbOutcome>(VerbOutcome{.message = message}) : result.fault());
    };
}

} // namespace

void add_power_verbs(Target& target, ManagedHost& managed) {
    vmm::Host& host = managed.host();
    target.verb({.name = "reset",
                 .doc = "Resets the host at once.",
                 .role = Role::reset,
                 .run = [&host](const VerbCall&, const std::string& path, Verb::Done done) {
                     host.reset(say("Performing hard reset on " + path, std::move(done)));
                 }});
    target.verb(
        {.name = "start",
         .doc = "Powers the host on.",
         .role = Role::reset,
         .run = [&managed, &host](const VerbCall& call, const std::string& path, Verb::Done done) {
             if (call.may_wait && host.power_state() == vmm::PowerState::off)
                 if (std::string text = managed.image_on_its_way(); !text.empty())
                     return done(VerbOutcome{.waits_for = std::move(text)});
             host.start(say("Starting " + path, std::move(done)));
         }});
    target.verb({.name = "stop",
                 .doc = "Asks the guest to shut down; -force cuts the power.",
                 .role = Role::reset,
                 .run = [&host](const VerbCall& call, const std::string& path, Verb::Done done) {
                     host.stop(call.force,
                               say("Stopping " + path + (call.force ? " immediately" : ""),
                                   std::move(done)));
                 }});
}

} // namespace lom
