#include "sp/state/log.h"

#include <ctime>
#include <iostream>

namespace lom {

void Log::append(const std::string& entry_class, const std::string& type,
                 const std::string& severity, const std::string& text) {
    waiting_.push_back({0, std::int64_t{time(nullptr)}, entry_class, type, severity, text});
    if (listener_)
        listener_(waiting_.back());
    while (!waiting_.empty()) {
        if (const auto stored = store(waiting_.front()); !stored) {
            std::cerr << "lomd: " << book_ << " log: " << text << " (" << stored.fault().message
                      << ")\n";
            break;
        }
        waiting_.pop_front();
    }
    if (waiting_.size() > most_waiting)
        waiting_.pop_front();
}

Result<void> Log::store(const LogEntry& entry) {
    const auto stored = database_.execute(
        "INSERT INTO log(book, time, class, type, severity, text) VALUES(?, ?, ?, ?, ?, ?)",
        {book_, entry.time, entry.entry_class, entry.type, entry.severity, entry.text});
    // AUTOINCREMENT ids of both books grow together: the bound is on each book's own count.
    if (stored)
        (void)database_.execute("DELETE FROM log WHERE book=?1 AND id <= (SELECT id FROM log WHERE "
                                "book=?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                                {book_, kept});
    return stored;
}

std::vector<LogEntry> Log::newest_first() const {
    std::vector<LogEntry> entries(waiting_.rbegin(), waiting_.rend());
    const auto rows = database_.query(
        "SELECT id, time, class, type, severity, text FROM log WHERE book=? ORDER BY id DESC",
        {book_});
    if (!rows)
        return entries;
    for (const auto& row : *rows)
        entries.push_back({std::get<std::int64_t>(row[0]), std::get<std::int64_t>(row[1]),
                           std::get<std::string>(row[2]), std::get<std::string>(row[3]),
                           std::get<std::string>(row[4]), std::get<std::string>(row[5])});
    return entries;
}

Result<void> Log::clear() {
    waiting_.clear();
    return database_.execute("DELETE FROM log WHERE book=?", {book_});
}

} // namespace lom
