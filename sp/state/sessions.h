// Who is logged in: one record per session, alive while a control connection holds it. Kept in the
// database so that a session outlives lomd: its door takes it up again with the ticket. Loop
// thread.
#pragma once

#include "base/loop.h"
#include "sp/state/database.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lom {

struct Session {
    std::int64_t id = 0;
    std::string ticket; ///< 32 random bytes in hex; whoever has it is the session
    std::string account;
    std::string source;
    std::string type; ///< ssh (a connection), shell, exec, local
    std::int64_t started = 0;
    int holders = 0; ///< control connections; 0: waiting to be resumed
    std::chrono::steady_clock::time_point last_active = std::chrono::steady_clock::now();
};

class Sessions {
  public:
    /// Sessions of an earlier lomd that nobody resumes within `grace` end.
    Sessions(Loop& loop, Database& database, std::chrono::milliseconds grace);

    /// A full disk keeps nobody out: that session only ends with this lomd.
    Session begin(const std::string& account, const std::string& source, const std::string& type);
    std::optional<Session> find(std::int64_t id) const;
    std::optional<Session> find_ticket(const std::string& ticket) const;
    std::vector<Session> list() const;
    void hold(std::int64_t id);
    /// Ends it when nobody holds it any more; one of type web waits for its door to come back.
    void release(std::int64_t id);
    void end(std::int64_t id);
    void touch(std::int64_t id); ///< somebody is there
    /// Ends shells in which nothing happened for that long; a web door ends its own.
    void end_idle(std::chrono::milliseconds limit);
    void end_all_of(const std::string& account);
    /// Calls `listener` with the id of each session that ended, whoever ended it.
    void on_end(std::function<void(std::int64_t)> listener);

  private:
    void end_unless_held(std::int64_t id, std::chrono::milliseconds limit);

    Loop& loop_;
    Database& database_;
    std::map<std::int64_t, Session> sessions_;
    std::vector<std::function<void(std::int64_t)>> listeners_;
    Loop::Handle grace_;
    std::map<std::int64_t, Loop::Handle> waiting_; ///< of type web, held by nobody
};

} // namespace lom
