#include "sp/state/accounts.h"

#include <crypt.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <memory>

namespace lom {

namespace {

constexpr std::size_t most_accounts = 60;
constexpr std::size_t shortest_password = 8;
constexpr std::size_t longest_password = 256;

Fault invalid(std::string message) { return {FaultKind::invalid_value, std::move(message)}; }

/// Salted yescrypt hash; nullopt when the system's libcrypt refuses.
std::optional<std::string> hash_password(const std::string& password) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn("$y$", 0, nullptr, 0, setting, sizeof(setting)) == nullptr)
        return std::nullopt;
    const auto data = std::make_unique<crypt_data>(); // 32 KiB: not on a pool thread's stack
    const char* hash = crypt_rn(password.c_str(), setting, data.get(), sizeof(*data));
    if (hash == nullptr)
        return std::nullopt;
    return std::string(hash);
}

bool matches(const std::string& password, const std::string& hash) {
    const auto data = std::make_unique<crypt_data>();
    const char* again = crypt_rn(password.c_str(), hash.c_str(), data.get(), sizeof(*data));
    if (again == nullptr || std::strlen(again) != hash.size())
        return false;
    unsigned char difference = 0; // every byte is looked at, whatever the first ones say
    for (std::size_t i = 0; i < hash.size(); ++i)
        difference = static_cast<unsigned char>(difference | (again[i] ^ hash[i]));
    return difference == 0;
}

/// What an unknown name is checked against, so that it takes as long as a known one.
const std::string& decoy_hash() {
    static const std::string hash = hash_password("no account has this password").value_or("*");
    return hash;
}

Result<void> check_name(const std::string& name) {
    const bool fine =
        !name.empty() && name.size() <= 40 &&
        std::isalpha(static_cast<unsigned char>(name[0])) != 0 &&
        std::all_of(name.begin(), name.end(), [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
        });
    if (!fine)
        return invalid("An account name begins with a letter and has letters, digits, '-' and '_', "
                       "40 at most.");
    return {};
}

Result<void> check_password(const std::string& name, const std::string& password) {
    if (password.size() < shortest_password || password.size() > longest_password)
        return invalid("A password has 8 to 256 characters.");
    if (password == name)
        return invalid("The password must differ from the account's name.");
    return {};
}

} // namespace

std::vector<Account> Accounts::list() const {
    std::vector<Account> accounts;
    const auto rows = database_.query("SELECT name, roles FROM accounts ORDER BY name");
    if (!rows)
        return accounts;
    for (const auto& row : *rows)
        if (const auto roles = Roles::parse(std::get<std::string>(row[1])))
            accounts.push_back({std::get<std::string>(row[0]), *roles});
    return accounts;
}

std::optional<Account> Accounts::find(const std::string& name) const {
    const auto rows = database_.query(
        "SELECT name, roles FROM accounts WHERE name=? AND name=? COLLATE BINARY", {name, name});
    if (!rows || rows->empty())
        return std::nullopt;
    const auto roles = Roles::parse(std::get<std::string>((*rows)[0][1]));
    return roles ? std::optional(Account{name, *roles}) : std::nullopt;
}

std::optional<std::string> Accounts::hash_of(const std::string& name) const {
    const auto rows =
        database_.query("SELECT password FROM accounts WHERE name=? COLLATE BINARY", {name});
    if (!rows || rows->empty())
        return std::nullopt;
    return std::get<std::string>((*rows)[0][0]);
}

bool Accounts::is_last_user_manager(const std::string& name) const {
    const auto account = find(name);
    if (!account || !account->roles.intersects(Role::user))
        return false;
    const auto all = list();
    return std::count_if(all.begin(), all.end(), [](const Account& other) {
               return other.roles.intersects(Role::user);
           }) == 1;
}

void Accounts::create(const std::string& name, Roles roles, const std::string& password,
                      Done done) {
    if (const auto fine = check_name(name); !fine)
        return done(fine.fault());
    if (const auto fine = check_password(name, password); !fine)
        return done(fine.fault());
    if (list().size() >= most_accounts)
        return done(
            Fault{FaultKind::wrong_state, "There are 60 accounts already; delete one first."});
    auto hash = std::make_shared<std::optional<std::string>>();
    loop_.in_pool(
        [hash, password] { *hash = hash_password(password); },
        [this, hash, name, roles, done] {
            if (!*hash)
                return done(Fault{FaultKind::internal, "The password cannot be hashed."});
            done(database_.execute("INSERT INTO accounts(name, password, roles) VALUES(?, ?, ?)",
                                   {name, **hash, roles.letters()}));
        });
}

Result<void> Accounts::remove(const std::string& name) {
    if (is_last_user_manager(name))
        return Fault{FaultKind::wrong_state,
                     "This is the last account with the role u; create another one first."};
    // First what opens it, so that a later account of the name never inherits a key.
    if (const auto cleared = keys_.clear_all(name); !cleared)
        return cleared;
    if (const auto forgotten = guard_.forget(name); !forgotten)
        return forgotten;
    return database_.execute("DELETE FROM accounts WHERE name=?", {name});
}

Result<void> Accounts::set_roles(const std::string& name, Roles roles) {
    if (is_last_user_manager(name) && !roles.intersects(Role::user))
        return Fault{FaultKind::wrong_state,
                     "This is the last account with the role u; it must keep it."};
    const auto stored =
        database_.execute("UPDATE accounts SET roles=? WHERE name=?", {roles.letters(), name});
    if (stored && roles_changed_)
        roles_changed_(name, roles);
    return stored;
}

void Accounts::set_password(const std::string& name, const std::string& password, Done done) {
    if (const auto fine = check_password(name, password); !fine)
        return done(fine.fault());
    auto hash = std::make_shared<std::optional<std::string>>();
    loop_.in_pool(
        [hash, password] { *hash = hash_password(password); },
        [this, hash, name, done] {
            if (!*hash)
                return done(Fault{FaultKind::internal, "The password cannot be hashed."});
            done(database_.execute("UPDATE accounts SET password=? WHERE name=?", {**hash, name}));
        });
}

void Accounts::verify(const std::string& name, const std::string& password,
                      const std::string& source, Verified verified) {
    if (const auto wait = guard_.wait(source); wait.count() > 0)
        return later(wait, [this, name, password, source, verified = std::move(verified)] {
            compare(name, password, source, verified);
        });
    compare(name, password, source, verified);
}

void Accounts::compare(const std::string& name, const std::string& password,
                       const std::string& source, const Verified& verified) {
    const auto hash = hash_of(name);
    auto right = std::make_shared<bool>(false);
    loop_.in_pool(
        [right, hash, password] {
            const bool same = matches(password, hash ? *hash : decoy_hash());
            *right = same && hash;
        },
        [this, right, name, source, verified] {
            const auto account = find(name); // again: it may have been deleted meanwhile
            if (account && guard_.locked(name, source))
                return refuse(name, "the account takes no password now", source, verified);
            if (*right && account)
                return let_in(*account, source, verified);
            refuse(name, "wrong name or password", source, verified);
        });
}

bool Accounts::would_accept(const std::string& name, const SshPublicKey& key) const {
    return find(name) && keys_.opens(name, key);
}

void Accounts::verify(const std::string& name, const SshPublicKey& key, const KeyProof& proof,
                      const std::string& source, const Verified& verified) {
    const auto account = find(name);
    if (!account || !keys_.opens(name, key))
        return verified(
            {{}, "the SSH key is not one of the account's", guard_.offered_in_vain(source), false});
    if (!proves(proof, key, name))
        return refuse({}, "the signature is not that of the SSH key", source, verified);
    let_in(*account, source, verified);
}

void Accounts::let_in(const Account& account, const std::string& source, const Verified& verified) {
    (void)guard_.succeeded(account.name, source); // a full disk keeps nobody out
    verified({account, {}, 0, false});
}

void Accounts::refuse(const std::string& name, std::string reason, const std::string& source,
                      Verified verified) {
    const auto failure = guard_.failed(find(name) ? name : std::string(), source);
    if (failure.locked_now)
        reason += "; the account takes no password for " + std::to_string(*guard_.delay) +
                  " minutes, " + "unlock it with set /SP/users/" + name + " locked=false";
    later(failure.delay, [verdict = Verdict{{}, reason, failure.count, true},
                          verified = std::move(verified)] { verified(verdict); });
}

void Accounts::later(std::chrono::milliseconds delay, std::function<void()> action) {
    std::erase_if(delayed_, [](const auto& entry) { return *entry.second; });
    auto over = std::make_shared<bool>(false);
    auto timer = loop_.after(delay, [over, action = std::move(action)] {
        *over = true;
        action();
    });
    delayed_.emplace_back(std::move(timer), over);
}

} // namespace lom
