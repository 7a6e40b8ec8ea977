// The event log (what happened) and the audit log (who did what), bounded. Loop thread only.
#pragma once

#include "base/result.h"
#include "sp/state/database.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lom {

struct LogEntry {
    std::int64_t id = 0;
    std::int64_t time = 0;   ///< seconds since 1970
    std::string entry_class; ///< Host, Audit, System, Media, ...
    std::string type;        ///< Log, Action, Fault, State
    std::string severity;    ///< info, minor, major, critical, down
    std::string text;
};

class Log {
  public:
    /// `book` is "event" or "audit".
    Log(Database& database, std::string book) : database_(database), book_(std::move(book)) {}

    /// A full disk loses the entry, not the daemon: it is said on standard error instead.
    void append(const std::string& entry_class, const std::string& type,
                const std::string& severity, const std::string& text);
    std::vector<LogEntry> newest_first() const;
    Result<void> clear();

    static constexpr std::int64_t kept = 2048;

  private:
    Database& database_;
    std::string book_;
};

} // namespace lom
