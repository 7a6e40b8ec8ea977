// The event log (what happened) and the audit log (who did what), bounded. Loop thread only.
#pragma once

#include "base/result.h"
#include "sp/state/database.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace lom {

struct LogEntry {
    std::int64_t id = 0;     ///< 0: waits for room on the disk
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

    /// Entries that a full disk has no room for wait in memory, the oldest of too many are lost;
    /// they are said on standard error too.
    void append(const std::string& entry_class, const std::string& type,
                const std::string& severity, const std::string& text);
    /// Calls `listener` with each entry as it is written, or when it has to wait.
    void on_append(std::function<void(const LogEntry&)> listener) {
        listener_ = std::move(listener);
    }
    std::vector<LogEntry> newest_first() const;
    Result<void> clear();

    static constexpr std::int64_t kept = 2048;
    static constexpr std::size_t most_waiting = 100;

  private:
    Result<void> store(const LogEntry& entry);

    Database& database_;
    std::string book_;
    std::deque<LogEntry> waiting_;
    std::function<void(const LogEntry&)> listener_;
};

} // namespace lom
