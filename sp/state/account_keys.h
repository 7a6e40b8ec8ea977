// The SSH public keys that open an account, five slots each as on ILOM. Loop thread only.
#pragma once

#include "base/result.h"
#include "sp/state/database.h"
#include "sp/state/ssh_key.h"

#include <optional>
#include <string>

namespace lom {

class AccountKeys {
  public:
    static constexpr int slots = 5;

    explicit AccountKeys(Database& database) : database_(database) {}

    std::optional<SshPublicKey> find(const std::string& account, int slot) const;
    bool opens(const std::string& account, const SshPublicKey& key) const;
    Result<void> set(const std::string& account, int slot, const SshPublicKey& key);
    Result<void> clear(const std::string& account, int slot);
    Result<void> clear_all(const std::string& account);

  private:
    Database& database_;
};

} // namespace lom
