#include "sp/state/account_keys.h"

namespace lom {

std::optional<SshPublicKey> AccountKeys::find(const std::string& account, int slot) const {
    const auto rows = database_.query("SELECT line FROM account_keys WHERE account=? AND slot=?",
                                      {account, std::int64_t{slot}});
    if (!rows || rows->empty())
        return std::nullopt;
    auto key = SshPublicKey::parse(std::get<std::string>((*rows)[0][0]));
    return key ? std::optional(std::move(*key)) : std::nullopt;
}

bool AccountKeys::opens(const std::string& account, const SshPublicKey& key) const {
    for (int slot = 1; slot <= slots; ++slot)
        if (const auto known = find(account, slot); known && known->blob == key.blob)
            return true;
    return false;
}

Result<void> AccountKeys::set(const std::string& account, int slot, const SshPublicKey& key) {
    return database_.execute("INSERT INTO account_keys(account, slot, line) VALUES(?, ?, ?) "
                             "ON CONFLICT(account, slot) DO UPDATE SET line=excluded.line",
                             {account, std::int64_t{slot}, key.line()});
}

Result<void> AccountKeys::clear(const std::string& account, int slot) {
    return database_.execute("DELETE FROM account_keys WHERE account=? AND slot=?",
                             {account, std::int64_t{slot}});
}

Result<void> AccountKeys::clear_all(const std::string& account) {
    return database_.execute("DELETE FROM account_keys WHERE account=?", {account});
}

} // namespace lom
