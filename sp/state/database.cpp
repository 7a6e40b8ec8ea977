#include "sp/state/database.h"

#include <sqlite3.h>

#include <sys/stat.h>

#include <array>

namespace lom {

namespace {

/// Step n brings the schema from version n to n + 1; steps are only ever appended.
constexpr std::array migrations{
    "CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE accounts(name TEXT PRIMARY KEY COLLATE NOCASE, password TEXT NOT NULL,"
    "  roles TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE sessions(id INTEGER PRIMARY KEY, ticket TEXT NOT NULL UNIQUE,"
    "  account TEXT NOT NULL, source TEXT NOT NULL, type TEXT NOT NULL, started INTEGER NOT NULL);"
    "CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, book TEXT NOT NULL,"
    "  time INTEGER NOT NULL, class TEXT NOT NULL, type TEXT NOT NULL, severity TEXT NOT NULL,"
    "  text TEXT NOT NULL);"
    "CREATE INDEX log_book ON log(book, id);",
    // A source with a row is known to the account; the empty one stands for all others.
    "CREATE TABLE account_keys(account TEXT NOT NULL, slot INTEGER NOT NULL, line TEXT NOT NULL,"
    "  PRIMARY KEY(account, slot)) WITHOUT ROWID;"
    "CREATE TABLE login_sources(account TEXT NOT NULL, source TEXT NOT NULL,"
    "  locked_until INTEGER NOT NULL, UNIQUE(account, source));",
};

Fault sqlite_fault(sqlite3* handle) {
    if (sqlite3_errcode(handle) == SQLITE_FULL || sqlite3_system_errno(handle) == ENOSPC)
        return {FaultKind::internal, "The disk that holds the state folder is full; nothing was "
                                     "changed. Free some space and try again."};
    return {FaultKind::internal,
            std::string("The state database failed: ") + sqlite3_errmsg(handle)};
}

struct StatementCloser {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementCloser>;

} // namespace

struct Database::Impl {
    ~Impl() { sqlite3_close(handle); }

    Result<void> script(const char* sql) const {
        if (sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
            return sqlite_fault(handle);
        return {};
    }

    Result<std::vector<Row>> run(const std::string& sql,
                                 const std::vector<Cell>& parameters) const {
        sqlite3_stmt* raw = nullptr;
        if (sqlite3_prepare_v2(handle, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK)
            return sqlite_fault(handle);
        const Statement statement(raw);
        for (std::size_t i = 0; i < parameters.size(); ++i)
            bind(raw, static_cast<int>(i + 1), parameters[i]);
        std::vector<Row> rows;
        int state = SQLITE_ROW;
        while ((state = sqlite3_step(raw)) == SQLITE_ROW)
            rows.push_back(row_of(raw));
        if (state != SQLITE_DONE)
            return sqlite_fault(handle);
        return rows;
    }

    static void bind(sqlite3_stmt* statement, int index, const Cell& cell) {
        if (const auto* number = std::get_if<std::int64_t>(&cell)) {
            sqlite3_bind_int64(statement, index, *number);
        } else {
            const std::string& text = std::get<std::string>(cell);
            // A null destructor is SQLITE_STATIC: the cell outlives the statement.
            sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()),
                              nullptr);
        }
    }

    static Row row_of(sqlite3_stmt* statement) {
        Row row;
        for (int i = 0; i < sqlite3_column_count(statement); ++i) {
            if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
                row.emplace_back(std::int64_t{sqlite3_column_int64(statement, i)});
            } else {
                const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
                const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
                row.emplace_back(text == nullptr ? std::string() : std::string(text, size));
            }
        }
        return row;
    }

    Result<void> migrate() {
        const auto version_rows = run("PRAGMA user_version", {});
        if (!version_rows)
            return version_rows.fault();
        const auto version =
            static_cast<std::size_t>(std::get<std::int64_t>((*version_rows)[0][0]));
        if (version > migrations.size())
            return Fault{FaultKind::wrong_state,
                         "The state folder was written by a newer version of lomd; install that "
                         "version, or give another --state-dir."};
        for (std::size_t step = version; step < migrations.size(); ++step) {
            const std::string sql = std::string("BEGIN IMMEDIATE;") + migrations[step] +
                                    "PRAGMA user_version=" + std::to_string(step + 1) + ";COMMIT;";
            if (const auto done = script(sql.c_str()); !done)
                return done.fault();
        }
        return {};
    }

    sqlite3* handle = nullptr;
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    const mode_t previous = umask(0077);
    const int state =
        sqlite3_open_v2(path.c_str(), &impl->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    umask(previous);
    if (state != SQLITE_OK)
        return sqlite_fault(impl->handle);
    // A small page cache: the tree keeps what is read often.
    if (const auto set_up = impl->script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                         "PRAGMA busy_timeout=2000; PRAGMA cache_size=-256;"
                                         "PRAGMA secure_delete=ON;");
        !set_up)
        return set_up.fault();
    if (const auto migrated = impl->migrate(); !migrated)
        return migrated.fault();
    return std::unique_ptr<Database>(new Database(std::move(impl)));
}

std::optional<std::string> Database::load(const std::string& key) const {
    const auto rows = query("SELECT value FROM settings WHERE key=?", {key});
    if (!rows || rows->empty())
        return std::nullopt;
    return std::get<std::string>((*rows)[0][0]);
}

Result<void> Database::store(const std::string& key, const std::string& value) {
    return execute("INSERT INTO settings(key, value) VALUES(?, ?) "
                   "ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                   {key, value});
}

Result<void> Database::execute(const std::string& sql, const std::vector<Cell>& parameters) {
    const auto rows = impl_->run(sql, parameters);
    if (!rows)
        return rows.fault();
    return {};
}

Result<std::vector<Database::Row>> Database::query(const std::string& sql,
                                                   const std::vector<Cell>& parameters) const {
    return impl_->run(sql, parameters);
}

} // namespace lom
