// Local accounts: names, roles, password hashes (yescrypt by libxcrypt). Hashing runs on the loop's
// pool; everything else on the loop thread. Passwords are never stored or logged.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "sp/state/account_keys.h"
#include "sp/state/database.h"
#include "sp/state/login_guard.h"
#include "sp/tree/roles.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lom {

struct Account {
    std::string name;
    Roles roles;
};

class Accounts {
  public:
    using Done = std::function<void(Result<void>)>;
    /// Who it is, or why not: for the audit log only, a client is told the same for all reasons.
    struct Verdict {
        std::optional<Account> account;
        std::string reason;
        int failures = 0;  ///< in a row from that source
        bool guess = true; ///< false: a key was offered in vain, as clients with many keys do
    };
    using Verified = std::function<void(const Verdict&)>;

    Accounts(Loop& loop, Database& database)
        : loop_(loop), database_(database), keys_(database), guard_(database) {}

    AccountKeys& keys() { return keys_; }
    LoginGuard& guard() { return guard_; }

    std::vector<Account> list() const;
    std::optional<Account> find(const std::string& name) const;
    /// Names: a letter, then letters, digits, `-`, `_`; 1 to 40 characters. At most 60 accounts.
    void create(const std::string& name, Roles roles, const std::string& password, Done done);
    /// The last account with the role u cannot be deleted or lose it.
    Result<void> remove(const std::string& name);
    Result<void> set_roles(const std::string& name, Roles roles);
    /// Calls `listener` after an account's roles have changed.
    void on_roles(std::function<void(const std::string& name, Roles)> listener) {
        roles_changed_ = std::move(listener);
    }
    void set_password(const std::string& name, const std::string& password, Done done);
    /// The same work for a wrong name, a wrong password and a locked account. After failures the
    /// answer takes longer: 1 s, 2 s, 4 s, at most 8 s, per source and per account.
    void verify(const std::string& name, const std::string& password, const std::string& source,
                Verified verified);
    /// Whether it is worth a client's while to sign with this key.
    bool would_accept(const std::string& name, const SshPublicKey& key) const;
    /// A login with a key; no lock keeps it out.
    void verify(const std::string& name, const SshPublicKey& key, const KeyProof& proof,
                const std::string& source, const Verified& verified);

  private:
    std::optional<std::string> hash_of(const std::string& name) const;
    bool is_last_user_manager(const std::string& name) const;
    void compare(const std::string& name, const std::string& password, const std::string& source,
                 const Verified& verified);
    void later(std::chrono::milliseconds delay, std::function<void()> action);
    void let_in(const Account& account, const std::string& source, const Verified& verified);
    void refuse(const std::string& name, std::string reason, const std::string& source,
                Verified verified);

    Loop& loop_;
    std::function<void(const std::string&, Roles)> roles_changed_;
    Database& database_;
    AccountKeys keys_;
    LoginGuard guard_;
    std::vector<std::pair<Loop::Handle, std::shared_ptr<bool>>> delayed_;
};

} // namespace lom
