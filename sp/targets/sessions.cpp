// /SP/sessions: who is logged in.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

namespace lom {

namespace {

Target::Ptr session_target(Sessions& sessions, const Session& session) {
    auto target = Target::make(std::to_string(session.id), "Somebody who is logged in.");
    target->note([id = target->name()](const Caller& caller) {
        return std::string(caller.session == id ? "current" : "");
    });
    target->shows<std::string>("username", "The account.", [=] { return session.account; });
    target->shows<std::int64_t>("idletime", "Seconds since something happened in it.", [=] {
        return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() -
                                                                session.last_active)
            .count();
    });
    target->shows<std::string>("source", "Where from.", [=] { return session.source; });
    target->shows<std::string>("type", "Through which door.", [=] { return session.type; });
    target->shows<std::string>("starttime", "Since when.",
                               [=] { return clock_text(session.started); });
    target->verb({.name = "delete",
                  .doc = "Ends the session.",
                  .role = Role::user,
                  .run = [&sessions, id = session.id](const VerbCall&, const std::string& path,
                                                      const Verb::Done& done) {
                      done(VerbOutcome{.message = "Deleted " + path});
                      sessions.end(id);
                  }});
    return target;
}

} // namespace

Target::Ptr sessions_target(const TargetContext& context) {
    auto target = Target::make("sessions", "Who is logged in.");
    target->dynamic_children([&sessions = context.sessions] {
        std::vector<Target::Ptr> children;
        for (const Session& session : sessions.list())
            if (session.type != "ssh") // the connection under shells and execs, not one itself
                children.push_back(session_target(sessions, session));
        return children;
    });
    return target;
}

} // namespace lom
