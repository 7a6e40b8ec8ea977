// Tasks and events as services.
#include "web/redfish/resource.h"
#include "web/redfish/tasks.h"

namespace lom::web {

namespace {

const std::string task_service = "/redfish/v1/TaskService";
const std::string tasks_uri = task_service + "/Tasks";

json::object healthy() { return {{"State", "Enabled"}, {"Health", "OK"}}; }

Resource tasks() {
    Resource one(task_service, "TaskService.v1_2_1.TaskService");
    one.constant("Id", "TaskService").constant("Name", "Task service");
    one.constant("ServiceEnabled", true).constant("CompletedTaskOverWritePolicy", "Oldest");
    one.constant("LifeCycleEventOnTaskStateChange", false).constant("Status", healthy());
    one.changing("DateTime", [](const Scope&) { return json::value(iso_now()); });
    one.link("Tasks", tasks_uri);
    return one;
}

Resource task_collection() {
    Resource collection(tasks_uri, "TaskCollection.TaskCollection");
    collection.constant("Name", "Tasks");
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const std::string& id : scope.services->tasks.ids())
            uris.push_back(tasks_uri + "/" + id);
        return uris;
    });
    return collection;
}

json::object task_json(const TaskRecord& task) {
    const bool ended = task.state != "Running";
    json::object object{{"Id", task.id},
                        {"Name", task.name},
                        {"TaskState", task.state},
                        {"TaskStatus", task.state == "Exception" ? "Warning" : "OK"},
                        {"StartTime", task.started},
                        {"PercentComplete", ended ? 100 : 0},
                        {"TaskMonitor", tasks_uri + "/" + task.id + "/Monitor"},
                        {"Messages", json::array{}}};
    if (ended) {
        object["EndTime"] = task.ended;
        Message message{task.state == "Completed" ? "Success" : "GeneralError", {}, "", task.said};
        object["Messages"] = json::array{message_json(message)};
    }
    return object;
}

Resource task() {
    Resource one(tasks_uri + "/{}", "Task.v1_7_2.Task");
    one.body([](const Scope& scope) -> json::object {
        const TaskRecord* found = scope.services->tasks.find(scope.ids[0]);
        return found == nullptr ? json::object() : task_json(*found);
    });
    return one;
}

Resource event_service() {
    Resource one("/redfish/v1/EventService", "EventService.v1_10_3.EventService");
    one.constant("Id", "EventService").constant("Name", "Event service");
    one.constant("ServiceEnabled", true).constant("Status", healthy());
    one.constant("ServerSentEventUri", "/redfish/v1/EventService/SSE");
    one.constant("EventFormatTypes", json::array{"Event"});
    one.constant("RegistryPrefixes", json::array{"OpenLOM"});
    return one;
}

} // namespace

void declare_services(std::vector<Resource>& all) {
    all.push_back(tasks());
    all.push_back(task_collection());
    all.push_back(task());
    all.push_back(event_service());
}

} // namespace lom::web
