#include "sp/state/login_guard.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>

namespace lom {

namespace {

constexpr std::int64_t remembered = 10 * 60; ///< seconds after the last failure
constexpr std::size_t most_counts = 4096;
constexpr auto for_ever = std::numeric_limits<std::int64_t>::max();
const std::string strangers; // every source that the account does not know

std::int64_t now() { return std::int64_t{time(nullptr)}; }

} // namespace

std::string source_of(const std::string& address) {
    in6_addr v6{};
    const std::string bare = address.substr(0, address.find('%'));
    if (inet_pton(AF_INET6, bare.c_str(), &v6) != 1)
        return address.substr(0, 64);
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return inet_ntop(AF_INET, v6.s6_addr + 12, text.data(), text.size());
    std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});
    return inet_ntop(AF_INET6, &v6, text.data(), text.size()) + std::string("/64");
}

LoginGuard::Count& LoginGuard::counted(Counts& counts, const std::string& key) {
    const std::int64_t oldest = now() - remembered;
    std::erase_if(counts, [oldest](const auto& entry) { return entry.second.last < oldest; });
    if (counts.size() >= most_counts && !counts.contains(key))
        counts.erase(
            std::min_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
                return a.second.last < b.second.last;
            }));
    Count& count = counts[key];
    ++count.failures;
    count.last = now();
    return count;
}

LoginGuard::Failure LoginGuard::failed(const std::string& account, const std::string& address) {
    const std::string source = source_of(address);
    Failure failure;
    Count& here = counted(sources_, source);
    failure.count = here.failures;
    int worst = failure.count;
    if (!account.empty()) {
        const std::string place = knows(account, source) ? source : strangers;
        const int count = counted(accounts_, account + "\n" + place).failures;
        worst = std::max(worst, count);
        const bool too_many = *state == Switch::enabled && count >= *attempts;
        if (too_many && !locked_for(account, place)) {
            failure.locked_now = static_cast<bool>(lock_until(account, place, now() + *delay * 60));
            accounts_.erase(account + "\n" + place);
        }
    }
    failure.delay = std::chrono::milliseconds(1000 << std::min(worst - 1, 3));
    here.closed_until = std::chrono::steady_clock::now() + failure.delay;
    return failure;
}

int LoginGuard::offered_in_vain(const std::string& address) {
    return counted(offers_, source_of(address)).failures;
}

std::chrono::milliseconds LoginGuard::wait(const std::string& address) const {
    const auto found = sources_.find(source_of(address));
    if (found == sources_.end())
        return {};
    return std::max(std::chrono::milliseconds(0),
                    std::chrono::ceil<std::chrono::milliseconds>(found->second.closed_until -
                                                                 std::chrono::steady_clock::now()));
}

Result<void> LoginGuard::succeeded(const std::string& account, const std::string& address) {
    const std::string source = source_of(address);
    sources_.erase(source);
    if (knows(account, source)) {
        accounts_.erase(account + "\n" + source);
        return {};
    }
    constexpr std::int64_t most_known = 32; // the oldest row goes
    if (const auto added = database_.execute(
            "INSERT INTO login_sources(account, source, locked_until) VALUES(?, ?, 0)",
            {account, source});
        !added)
        return added;
    return database_.execute(
        "DELETE FROM login_sources WHERE account=? AND source<>'' AND rowid NOT IN (SELECT rowid "
        "FROM login_sources WHERE account=? AND source<>'' ORDER BY rowid DESC LIMIT ?)",
        {account, account, most_known});
}

bool LoginGuard::knows(const std::string& account, const std::string& source) const {
    const auto rows = database_.query("SELECT 1 FROM login_sources WHERE account=? AND source=?",
                                      {account, source});
    return !source.empty() && rows && !rows->empty();
}

std::int64_t LoginGuard::still_locked_after() const {
    return *state == Switch::enabled ? now() : for_ever - 1; // by an administrator's hand only
}

bool LoginGuard::locked_for(const std::string& account, const std::string& source) const {
    const auto rows = database_.query(
        "SELECT 1 FROM login_sources WHERE account=? AND source=? AND locked_until>?",
        {account, source, still_locked_after()});
    return rows && !rows->empty();
}

bool LoginGuard::locked(const std::string& account, const std::string& address) const {
    const std::string source = source_of(address);
    return locked_for(account, knows(account, source) ? source : strangers);
}

bool LoginGuard::locked(const std::string& account) const {
    const auto rows =
        database_.query("SELECT 1 FROM login_sources WHERE account=? AND locked_until>?",
                        {account, still_locked_after()});
    return rows && !rows->empty();
}

Result<void> LoginGuard::lock_until(const std::string& account, const std::string& source,
                                    std::int64_t time) {
    return database_.execute(
        "INSERT INTO login_sources(account, source, locked_until) VALUES(?, ?, ?) "
        "ON CONFLICT(account, source) DO UPDATE SET locked_until=excluded.locked_until",
        {account, source, time});
}

Result<void> LoginGuard::lock(const std::string& account) {
    if (const auto locked = lock_until(account, strangers, for_ever); !locked)
        return locked;
    return database_.execute("UPDATE login_sources SET locked_until=? WHERE account=?",
                             {for_ever, account});
}

Result<void> LoginGuard::unlock(const std::string& account) {
    std::erase_if(accounts_,
                  [&](const auto& entry) { return entry.first.starts_with(account + "\n"); });
    return database_.execute("UPDATE login_sources SET locked_until=0 WHERE account=?", {account});
}

Result<void> LoginGuard::forget(const std::string& account) {
    std::erase_if(accounts_,
                  [&](const auto& entry) { return entry.first.starts_with(account + "\n"); });
    return database_.execute("DELETE FROM login_sources WHERE account=?", {account});
}

} // namespace lom
