// Tasks and events as services.
#include "web/redfish/events.h"
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

Resource task() {
    Resource one(tasks_uri + "/{}", "Task.v1_7_2.Task");
    one.body([](const Scope& scope) -> json::object {
        const TaskRecord* found = scope.services->tasks.find(scope.ids[0]);
        return found == nullptr ? json::object() : task_json(*found);
    });
    return one;
}

// -- webhooks: /SP/alertmgmt/webhooks

const std::string event_uri = "/redfish/v1/EventService";
const std::string subscriptions_uri = event_uri + "/Subscriptions";
const std::string webhooks = "/SP/alertmgmt/webhooks";

Resource event_service() {
    Resource one(event_uri, "EventService.v1_10_3.EventService");
    one.constant("Id", "EventService").constant("Name", "Event service");
    one.constant("ServiceEnabled", true).constant("Status", healthy());
    one.constant("ServerSentEventUri", json::value(event_uri + "/SSE"));
    one.constant("EventFormatTypes", json::array{"Event"});
    one.constant("RegistryPrefixes", json::array{"OpenLOM"});
    one.link("Subscriptions", subscriptions_uri);
    return one;
}

std::string free_number(const control::TargetView& view) {
    for (int number = 1;; ++number) {
        bool taken = false;
        for (const control::TargetView& hook : view.targets)
            taken = taken || hook.name == std::to_string(number);
        if (!taken)
            return std::to_string(number);
    }
}

Task<Response> subscribe(Scope& scope, json::object body) {
    std::vector<Message> wrong;
    for (const char* name : {"Destination", "Protocol"})
        if (!body.contains(name))
            wrong.push_back({"PropertyMissing", {name}, std::string("#/") + name});
    if (wrong.empty() && fields::text(body, "Protocol") != "Redfish")
        wrong.push_back({"PropertyValueNotInList",
                         {json::serialize(body["Protocol"]), "Protocol"},
                         "#/Protocol"});
    // What would be left out silently is refused instead.
    for (const auto& [key, value] : body)
        if (key != "Destination" && key != "Protocol" && key != "Context" &&
            key != "VerifyCertificate" && key != "Oem" && key != "SubscriptionType" &&
            key != "EventFormatType" && key != "Name")
            wrong.push_back({"PropertyUnknown", {std::string(key)}, "#/" + std::string(key)});
    if (!wrong.empty())
        co_return error_response(400, wrong);
    const auto view = co_await scope.session->show(webhooks, 1);
    if (!view)
        co_return fault_response(view.fault());
    const std::string id = free_number(*view);
    const bool verify = fields::flag(body, "VerifyCertificate", true);
    control::RunRequest request;
    request.target = webhooks + "/" + id;
    request.verb = "create";
    request.properties.emplace_back("destination", fields::text(body, "Destination"));
    request.properties.emplace_back("context", fields::text(body, "Context"));
    request.properties.emplace_back("verify_certificate", verify ? "enabled" : "disabled");
    if (const json::object* oem = fields::member(body, "Oem"))
        if (const json::object* ours = fields::member(*oem, "OpenLOM"))
            request.properties.emplace_back("secret", fields::text(*ours, "Secret"));
    const auto created = co_await scope.session->run(std::move(request));
    if (!created)
        co_return fault_response(created.fault());
    const std::string uri = subscriptions_uri + "/" + id;
    Response response = json_response(201, link_to(uri));
    co_return std::move(response.with("Location", uri));
}

Resource subscriptions() {
    Resource collection(subscriptions_uri, "EventDestinationCollection.EventDestinationCollection");
    collection.shows(webhooks).constant("Name", "Event destinations");
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& hook : scope.view(webhooks)->targets)
            uris.push_back(subscriptions_uri + "/" + hook.name);
        for (const auto& [id, listener] : scope.services->events.listeners())
            uris.push_back(subscriptions_uri + "/" + id);
        return uris;
    });
    collection.creates(subscribe);
    return collection;
}

Resource subscription() {
    const std::string target = webhooks + "/{0}";
    Resource one(subscriptions_uri + "/{}", "EventDestination.v1_14_1.EventDestination");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Webhook " + scope.ids[0]); });
    one.text("Destination", target, "destination").text("Context", target, "context", true);
    one.constant("Protocol", "Redfish").constant("SubscriptionType", "RedfishEvent");
    one.constant("EventFormatType", "Event");
    one.constant("DeliveryRetryPolicy", "RetryForeverWithBackoff");
    one.field({.at = "VerifyCertificate",
               .read =
                   [target](const Scope& scope) {
                       return json::value(scope.text(target, "verify_certificate") == "enabled");
                   },
               .target = target,
               .property = "verify_certificate",
               .convert = [](const json::value& on) -> Result<std::string> {
                   return std::string(on.get_bool() ? "enabled" : "disabled");
               },
               .kind = json::kind::bool_});
    one.computed("Oem/OpenLOM", [target](const Scope& scope) {
        return json::value(json::object{{"@odata.type", "#OpenLOM.v1_0_0.EventDestination"},
                                        {"DeliveryStatus", scope.text(target, "status")}});
    });
    one.deletes([](Scope& scope) -> Task<Response> {
        const auto done = co_await run_in_tree(scope, webhooks + "/{0}", "delete", false);
        co_return done ? no_content() : fault_response(done.fault());
    });
    return one;
}

// -- event streams: open connections, each with a destination that ends with it

/// What a stream's owner may end, and an administrator.
bool may_end(const Scope& scope, const EventHub::Listener& listener) {
    const control::Hello& caller = scope.session->hello();
    return caller.session == listener.session || caller.roles.find('a') != std::string::npos;
}

Task<Response> end_stream(Scope& scope) {
    EventHub& events = scope.services->events;
    const std::string id = last_part(scope.uri);
    const auto found = events.listeners().find(id);
    if (found != events.listeners().end() && !may_end(scope, found->second))
        co_return fault_response({FaultKind::denied, "Only its owner, or an account with role a, "
                                                     "may end this event stream."});
    if (!events.close(id))
        co_return fault_response({FaultKind::not_found, "This event stream has ended."});
    co_return no_content();
}

Resource event_stream() {
    Resource one(subscriptions_uri + "/sse-{}", "EventDestination.v1_14_1.EventDestination");
    one.body([](const Scope& scope) -> json::object {
        const auto& listeners = scope.services->events.listeners();
        const auto found = listeners.find(last_part(scope.uri));
        if (found == listeners.end())
            return {};
        return {{"Id", found->first},
                {"Name", "Event stream of " + found->second.account},
                {"Protocol", "Redfish"},
                {"SubscriptionType", "SSE"},
                {"Context", found->second.context},
                {"EventFormatType", "Event"},
                {"Status", healthy()}};
    });
    one.deletes(end_stream);
    return one;
}

} // namespace

void declare_services(std::vector<Resource>& all) {
    all.push_back(tasks());
    all.push_back(task_collection());
    all.push_back(task());
    all.push_back(event_service());
    all.push_back(subscriptions());
    all.push_back(event_stream()); // before the webhooks, whose pattern takes any name
    all.push_back(subscription());
}

} // namespace lom::web
