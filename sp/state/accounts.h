// Local accounts: names, roles, password hashes (yescrypt by libxcrypt). Hashing runs on the loop's
// pool; everything else on the loop thread. Passwords are never stored or logged.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "sp/state/database.h"
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
    using Verified = std::function<void(Result<Account>)>;

    Accounts(Loop& loop, Database& database) : loop_(loop), database_(database) {}

    std::vector<Account> list() const;
    std::optional<Account> find(const std::string& name) const;
    /// Names: a letter, then letters, digits, `-`, `_`; 1 to 40 characters. At most 60 accounts.
    void create(const std::string& name, Roles roles, const std::string& password, Done done);
    /// The last account with the role u cannot be deleted or lose it.
    Result<void> remove(const std::string& name);
    Result<void> set_roles(const std::string& name, Roles roles);
    void set_password(const std::string& name, const std::string& password, Done done);
    /// One answer for a wrong name and a wrong password, after the same work. After failures the
    /// answer takes longer: 1 s, 2 s, 4 s, at most 8 s, per source.
    void verify(const std::string& name, const std::string& password, const std::string& source,
                Verified verified);

  private:
    std::optional<std::string> hash_of(const std::string& name) const;
    bool is_last_user_manager(const std::string& name) const;
    void answer(Result<Account> outcome, const std::string& source, Verified verified);

    Loop& loop_;
    Database& database_;
    struct Failures {
        int count = 0;
        Loop::Handle forget;
    };
    std::map<std::string, Failures> failures_;
    std::vector<std::pair<Loop::Handle, std::shared_ptr<bool>>> delayed_;
};

} // namespace lom
