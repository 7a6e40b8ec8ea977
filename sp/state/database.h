// The SQLite file behind everything that must survive: settings, accounts, sessions, logs. WAL and
// synchronous=FULL: what a call acknowledged survives kill -9 and power loss. Loop thread only; a
// commit costs one fsync.
#pragma once

#include "base/result.h"
#include "sp/tree/settings.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lom {

class Database final : public Settings {
  public:
    /// Opens or makes D/openlom.db (0600) and brings its schema up to date. Refuses one written by
    /// a newer version.
    static Result<std::unique_ptr<Database>> open(const std::string& path);
    ~Database() override;

    std::optional<std::string> load(const std::string& key) const override;
    Result<void> store(const std::string& key, const std::string& value) override;

    using Cell = std::variant<std::int64_t, std::string>;
    using Row = std::vector<Cell>;
    /// One statement with its parameters, committed when it returns.
    Result<void> execute(const std::string& sql, const std::vector<Cell>& parameters = {});
    Result<std::vector<Row>> query(const std::string& sql,
                                   const std::vector<Cell>& parameters = {}) const;

  private:
    struct Impl;
    explicit Database(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom
