// Work that takes longer than an answer: Redfish's tasks. They live as long as lom-web. Loop
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lom::web {

struct TaskRecord {
    std::string id;
    std::string name;
    std::string state = "Running"; ///< Running, Completed, Exception
    std::string started;
    std::string ended;
    std::string said;  ///< how it ended, a sentence
    std::string owner; ///< account
};

class Tasks {
  public:
    /// Old finished tasks make room.
    std::string begin(const std::string& name, const std::string& owner, const std::string& now);
    void end(const std::string& id, bool well, const std::string& said, const std::string& now);
    const TaskRecord* find(const std::string& id) const;
    std::vector<std::string> ids() const;

  private:
    static constexpr std::size_t kept = 100;
    std::map<std::int64_t, TaskRecord> tasks_;
    std::int64_t last_ = 0;
};

} // namespace lom::web
