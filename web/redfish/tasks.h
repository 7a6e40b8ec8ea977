// Work that takes longer than an answer: Redfish's tasks. They live as long as lom-web. Loop
// thread.
#pragma once

#include "base/result.h"
#include "web/http.h"
#include "web/json.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lom::web {

struct TaskRecord {
    std::string id;
    std::string name;
    std::string state = "Running"; ///< Running, Completed, Exception
    std::string started;
    std::string ended;
    std::string said;           ///< how it ended, a sentence
    std::string owner;          ///< account
    std::optional<Fault> fault; ///< what the request would have been answered
    bool running() const { return state == "Running"; }
};

json::object task_json(const TaskRecord& task);
/// What the task's monitor answers: 202 while it runs, then what the request itself would have been
/// answered: 204, or the error.
Response monitor_response(const TaskRecord& task);

class Tasks {
  public:
    /// Old finished tasks make room.
    std::string begin(const std::string& name, const std::string& owner, const std::string& now);
    void end(const std::string& id, const Result<void>& outcome, const std::string& said,
             const std::string& now);
    const TaskRecord* find(const std::string& id) const;
    /// Whose monitor `uri` is; null: no task's.
    const TaskRecord* monitored(const std::string& uri) const;
    std::vector<std::string> ids() const;

  private:
    static constexpr std::size_t kept = 100;
    std::map<std::int64_t, TaskRecord> tasks_;
    std::int64_t last_ = 0;
};

} // namespace lom::web
