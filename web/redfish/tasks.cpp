#include "web/redfish/tasks.h"

#include "web/redfish/messages.h"
#include "web/redfish/resource.h"

#include <cstdlib>

namespace lom::web {

namespace {

constexpr std::string_view tasks_uri = "/redfish/v1/TaskService/Tasks/";
constexpr std::string_view monitor = "/Monitor";

std::string monitor_of(const TaskRecord& task) {
    return std::string(tasks_uri) + task.id + std::string(monitor);
}

} // namespace

json::object task_json(const TaskRecord& task) {
    json::object object{{"Id", task.id},
                        {"Name", task.name},
                        {"TaskState", task.state},
                        {"TaskStatus", task.state == "Exception" ? "Warning" : "OK"},
                        {"StartTime", task.started},
                        {"PercentComplete", task.running() ? 0 : 100},
                        {"TaskMonitor", monitor_of(task)},
                        {"Messages", json::array{}}};
    if (!task.running()) {
        object["EndTime"] = task.ended;
        const bool completed = task.state == "Completed";
        Message message{completed ? "Success" : "Refused",
                        completed ? std::vector<std::string>() : std::vector{task.said}, "",
                        task.said};
        object["Messages"] = json::array{message_json(message)};
    }
    return object;
}

Response monitor_response(const TaskRecord& task) {
    if (task.fault)
        return fault_response(*task.fault);
    if (!task.running())
        return no_content();
    json::object body = task_json(task);
    body["@odata.id"] = std::string(tasks_uri) + task.id;
    body["@odata.type"] = "#Task.v1_7_2.Task";
    Response accepted = json_response(202, body);
    accepted.with("Location", monitor_of(task)).with("Retry-After", "1");
    return accepted;
}

std::string Tasks::begin(const std::string& name, const std::string& owner,
                         const std::string& now) {
    while (tasks_.size() >= kept)
        tasks_.erase(tasks_.begin());
    const std::string id = std::to_string(++last_);
    tasks_[last_] = {id, name, "Running", now, "", "", owner, std::nullopt};
    return id;
}

void Tasks::end(const std::string& id, const Result<void>& outcome, const std::string& said,
                const std::string& now) {
    const auto found = tasks_.find(std::atoll(id.c_str()));
    if (found == tasks_.end())
        return;
    found->second.state = outcome ? "Completed" : "Exception";
    if (!outcome)
        found->second.fault = outcome.fault();
    found->second.said = said;
    found->second.ended = now;
}

const TaskRecord* Tasks::find(const std::string& id) const {
    const auto found = tasks_.find(std::atoll(id.c_str()));
    return found == tasks_.end() || found->second.id != id ? nullptr : &found->second;
}

const TaskRecord* Tasks::monitored(const std::string& uri) const {
    if (!uri.starts_with(tasks_uri) || !uri.ends_with(monitor) ||
        uri.size() <= tasks_uri.size() + monitor.size())
        return nullptr;
    return find(uri.substr(tasks_uri.size(), uri.size() - tasks_uri.size() - monitor.size()));
}

std::vector<std::string> Tasks::ids() const {
    std::vector<std::string> ids;
    for (const auto& [number, task] : tasks_)
        ids.push_back(task.id);
    return ids;
}

} // namespace lom::web
