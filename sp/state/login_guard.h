// Stands against guessing: failures make answers late, per source and per account, and lock an
// account's password for a while. A key is never locked out, and a source from which the account
// logged in before counts for itself, so that a stranger cannot lock the owner out. Locks survive
// lomd, counts do not. Loop thread only.
#pragma once

#include "base/result.h"
#include "sp/state/database.h"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace lom {

class LoginGuard {
  public:
    explicit LoginGuard(Database& database)
        : state(database, "account_lockout/state", Switch::enabled),
          attempts(database, "account_lockout/attempts", 5),
          delay(database, "account_lockout/delay", 30), database_(database) {}

    Setting<Switch> state;
    Setting<std::int64_t> attempts; ///< wrong passwords in a row until the lock
    Setting<std::int64_t> delay;    ///< minutes that it lasts

    struct Failure {
        std::chrono::milliseconds delay{}; ///< of the answer
        bool locked_now = false;           ///< this one was the last straw
        int count = 0;                     ///< in a row from this source
    };
    /// `account` empty: there is no such account, only the source counts.
    Failure failed(const std::string& account, const std::string& source);
    /// A key of nobody's was offered, which is no guess: says how often, and makes nothing late.
    int offered_in_vain(const std::string& source);
    /// How long the source has to wait before its next password is looked at: otherwise a guesser
    /// would hang up instead of waiting for a late answer.
    std::chrono::milliseconds wait(const std::string& source) const;
    Result<void> succeeded(const std::string& account, const std::string& source);

    /// Whether the account takes no password from `source` now.
    bool locked(const std::string& account, const std::string& source) const;
    /// Whether it takes none from at least one source.
    bool locked(const std::string& account) const;
    Result<void> lock(const std::string& account);   ///< until unlock()
    Result<void> unlock(const std::string& account); ///< for every source
    Result<void> forget(const std::string& account); ///< it was deleted

  private:
    struct Count {
        int failures = 0;
        std::int64_t last = 0; ///< seconds since 1970
        std::chrono::steady_clock::time_point closed_until;
    };
    using Counts = std::map<std::string, Count>;

    static Count& counted(Counts& counts, const std::string& key);
    std::int64_t still_locked_after() const;
    bool knows(const std::string& account, const std::string& source) const;
    bool locked_for(const std::string& account, const std::string& source) const;
    Result<void> lock_until(const std::string& account, const std::string& source,
                            std::int64_t time);

    Database& database_;
    Counts sources_;
    Counts accounts_;
    Counts offers_;
};

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which one customer
/// of a provider has to themselves.
std::string source_of(const std::string& address);

} // namespace lom
