#include "web/redfish/tasks.h"

#include <cstdlib>

namespace lom::web {

std::string Tasks::begin(const std::string& name, const std::string& owner,
                         const std::string& now) {
    while (tasks_.size() >= kept)
        tasks_.erase(tasks_.begin());
    const std::string id = std::to_string(++last_);
    tasks_[last_] = {id, name, "Running", now, "", "", owner};
    return id;
}

void Tasks::end(const std::string& id, bool well, const std::string& said, const std::string& now) {
    const auto found = tasks_.find(std::atoll(id.c_str()));
    if (found == tasks_.end())
        return;
    found->second.state = well ? "Completed" : "Exception";
    found->second.said = said;
    found->second.ended = now;
}

const TaskRecord* Tasks::find(const std::string& id) const {
    const auto found = tasks_.find(std::atoll(id.c_str()));
    return found == tasks_.end() || found->second.id != id ? nullptr : &found->second;
}

std::vector<std::string> Tasks::ids() const {
    std::vector<std::string> ids;
    for (const auto& [number, task] : tasks_)
        ids.push_back(task.id);
    return ids;
}

} // namespace lom::web
