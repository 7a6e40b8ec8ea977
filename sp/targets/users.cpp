// /SP/users: local accounts.
#include "sp/targets/targets.h"
#include "sp/targets/transfer_verbs.h"

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

/// Whoever opens an account has its roles.
Result<void> may_open(const Caller& caller, const Account& account) {
    return caller.account == account.name ? Result<void>() : may_grant(caller, account.roles);
}

void answer(const Property::Done& done, const Result<void>& result) {
    done(result ? Result<SetOutcome>(SetOutcome{}) : result.fault());
}

Target::Ptr key_target(AccountKeys& keys, Transfers& transfers, const Account& account, int slot) {
    auto target = Target::make(std::to_string(slot), "A public key that opens the account.");
    const std::string name = account.name;
    const auto key = std::make_shared<std::optional<SshPublicKey>>(keys.find(name, slot));
    const auto own = [name](const Caller& caller) { return caller.account == name; };
    target->shows<std::string>("algorithm", "Its type.",
                               [key] { return *key ? (*key)->algorithm : ""; });
    target->shows<std::string>("bit_length", "Its size in bits.",
                               [key] { return *key ? std::to_string((*key)->bits) : ""; });
    target->managed<bool>(
        {.name = "clear_action",
         .doc = "true: removes the key.",
         .write = Role::user,
         .set =
             [&keys, account, slot](const Caller& caller, bool sure, const Property::Done& done) {
                 const auto may = may_open(caller, account);
                 answer(done, !sure ? Result<void>() : may ? keys.clear(account.name, slot) : may);
             },
         .also_allowed = own});
    target->shows<std::string>("embedded_comment", "What stands behind the key in its file.",
                               [key] { return *key ? (*key)->comment : ""; });
    target->shows<std::string>("fingerprint", "Its SHA-256, as ssh-keygen -l prints it.",
                               [key] { return *key ? (*key)->fingerprint() : ""; });
    target->managed<std::string>(
        {.name = "publickey",
         .doc = "The key as in a .pub file: \"TYPE BASE64 COMMENT\".",
         .write = Role::user,
         .get = [key] { return *key ? (*key)->line() : ""; },
         .set =
             [&keys, account, slot](const Caller& caller, const std::string& text,
                                    const Property::Done& done) {
                 if (const auto may = may_open(caller, account); !may)
                     return done(may.fault());
                 const auto parsed = SshPublicKey::parse(text);
                 answer(done, parsed ? keys.set(account.name, slot, *parsed) : parsed.fault());
             },
         .also_allowed = own});
    Verb load =
        load_verb(transfers, "Loads the key from a .pub file.", Role::user,
                  [set = target->find_property("publickey")->set](
                      const Caller& caller, const std::string& text, const Property::Done& done) {
                      set(caller, Value(text.substr(0, text.find('\n'))), done);
                  });
    load.also_allowed = own;
    target->verb(std::move(load));
    return target;
}

Target::Ptr ssh_target(AccountKeys& keys, Transfers& transfers, const Account& account) {
    auto slots = Target::make("keys", "Up to five public keys.");
    slots->dynamic_children([&keys, &transfers, account] {
        std::vector<Target::Ptr> children;
        for (int slot = 1; slot <= AccountKeys::slots; ++slot)
            children.push_back(key_target(keys, transfers, account, slot));
        return children;
    });
    auto target = Target::make("ssh", "Logging in with SSH.");
    target->child(slots);
    return target;
}

/// Somebody who can unlock has to stay.
Result<void> may_lock(Accounts& accounts, const Account& account) {
    if (!account.roles.intersects(Role::user))
        return {};
    for (const Account& other : accounts.list())
        if (other.name != account.name && other.roles.intersects(Role::user) &&
            !accounts.guard().locked(other.name))
            return {};
    for (int slot = 1; slot <= AccountKeys::slots; ++slot)
        if (accounts.keys().find(account.name, slot))
            return {};
    return Fault{FaultKind::wrong_state, "Nobody else could log in and unlock it; give the account "
                                         "an SSH key, or another one the role u, first."};
}

Property locked_property(Accounts& accounts, const Account& account) {
    return Target::property_of<bool>(
        {.name = "locked",
         .doc = "true: the account takes no password; SSH keys still open it.",
         .write = Role::user,
         .get = [&accounts, account] { return accounts.guard().locked(account.name); },
         .set =
             [&accounts, account](const Caller&, bool lock, const Property::Done& done) {
                 LoginGuard& guard = accounts.guard();
                 const auto may = lock ? may_lock(accounts, account) : Result<void>();
                 answer(done, !may   ? may
                              : lock ? guard.lock(account.name)
                                     : guard.unlock(account.name));
             }});
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
        answer(done, accounts.set_roles(name, *roles));
    };
    target->add(std::move(role));

    Property password = password_property();
    password.readable = true; // as *****: there always is one
    password.get = [] { return Value(std::string("set")); };
    password.also_allowed = [name](const Caller& caller) { return caller.account == name; };
    password.set = [&accounts, account, name](const Caller& caller, Value value,
                                              const Property::Done& done) {
        if (const auto may = may_open(caller, account); !may)
            return done(may.fault());
        accounts.set_password(name, std::get<std::string>(value),
                              [done](const Result<void>& set) { answer(done, set); });
    };
    target->add(std::move(password));
    target->add(locked_property(accounts, account));
    target->child(ssh_target(accounts.keys(), context.transfers, account));

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
