// /SP/users: local accounts.
#include "sp/targets/targets.h"

namespace lom {

namespace {

Property role_property() {
    return Target::property_of<std::string>(
        {.name = "role",
         .doc = "Letters of aucros: admin, user management, console, reset and host control, "
                "read-only, service; or Administrator, Operator.",
         .write = Role::user});
}

Property password_property() {
    return Target::property_of<std::string>({.name = "password",
                                             .doc = "8 to 256 characters.",
                                             .write = Role::user,
                                             .secret = true,
                                             .required = true});
}

/// Nobody hands out a role that they do not have themselves.
Result<void> may_grant(const Caller& caller, Roles roles) {
    for (const Role role : {Role::admin, Role::user, Role::console, Role::reset, Role::service})
        if (roles.intersects(role) && !caller.roles.intersects(role))
            return Fault{FaultKind::denied, "Permission denied: you cannot give the role " +
                                                Roles(role).letters() + ", which you do not have."};
    return {};
}

Target::Ptr user_target(const TargetContext& context, const Account& account) {
    auto target = Target::make(account.name, "A local account.");
    Accounts& accounts = context.accounts;
    Sessions& sessions = context.sessions;
    const std::string name = account.name;

    Property role = role_property();
    role.readable = true;
    role.get = [letters = account.roles.letters()] { return Value(letters); };
    role.set = [&accounts, name](const Caller& caller, Value value, const Property::Done& done) {
        const auto roles = Roles::parse(std::get<std::string>(value));
        if (!roles)
            return done(roles.fault());
        if (const auto may = may_grant(caller, *roles); !may)
            return done(may.fault());
        const auto set = accounts.set_roles(name, *roles);
        done(set ? Result<SetOutcome>(SetOutcome{}) : set.fault());
    };
    target->add(std::move(role));

    Property password = password_property();
    password.readable = true; // as *****: there always is one
    password.get = [] { return Value(std::string("set")); };
    password.also_allowed = [name](const Caller& caller) { return caller.account == name; };
    password.set = [&accounts, name](const Caller&, Value value, const Property::Done& done) {
        accounts.set_password(name, std::get<std::string>(value), [done](const Result<void>& set) {
            done(set ? Result<SetOutcome>(SetOutcome{}) : set.fault());
        });
    };
    target->add(std::move(password));

    target->verb({.name = "delete",
                  .doc = "Deletes the account and ends its sessions.",
                  .role = Role::user,
                  .run = [&accounts, &sessions, name](const VerbCall&, const std::string& path,
                                                      const Verb::Done& done) {
                      if (const auto removed = accounts.remove(name); !removed)
                          return done(removed.fault());
                      done(VerbOutcome{.message = "Deleted " + path});
                      sessions.end_all_of(name);
                  }});
    return target;
}

void create_user(Accounts& accounts, const VerbCall& call, const std::string& path,
                 const Verb::Done& done) {
    std::string password;
    Roles roles = Role::read_only;
    for (const auto& [name, value] : call.properties) {
        if (name == "password") {
            password = std::get<std::string>(value);
            continue;
        }
        const auto parsed = Roles::parse(std::get<std::string>(value));
        if (!parsed)
            return done(parsed.fault());
        roles = *parsed;
    }
    if (const auto may = may_grant(call.caller, roles); !may)
        return done(may.fault());
    accounts.create(call.new_name, roles, password, [path, done](const Result<void>& created) {
        done(created ? Result<VerbOutcome>(VerbOutcome{.message = "Created " + path})
                     : created.fault());
    });
}

} // namespace

Target::Ptr users_target(const TargetContext& context) {
    auto target = Target::make("users", "Local accounts.");
    Accounts& accounts = context.accounts;
    target->dynamic_children([context] {
        std::vector<Target::Ptr> children;
        for (const Account& account : context.accounts.list())
            children.push_back(user_target(context, account));
        return children;
    });
    target->verb(
        {.name = "create",
         .doc = "Makes an account: create /SP/users/NAME role=LETTERS.",
         .role = Role::user,
         .asks = false,
         .run = [&accounts](const VerbCall& call, const std::string& path,
                            const Verb::Done& done) { create_user(accounts, call, path, done); },
         .takes = {password_property(), role_property()}});
    return target;
}

} // namespace lom
