// The service root and sessions.
#include "web/redfish/resource.h"

namespace lom::web {

namespace {

const std::string sessions_uri = "/redfish/v1/SessionService/Sessions";

Words session_types() {
    return {{"WebUI", "web"},
            {"ManagerConsole", "shell"},
            {"ManagerConsole", "exec"},
            {"ManagerConsole", "local"}};
}

/// The answer that makes a client of ours logged in: the token in a header, or for the page in a
/// cookie that no script can read.
Task<Response> log_in(Scope& scope, json::object body) {
    const json::value* name = body.if_contains("UserName");
    const json::value* password = body.if_contains("Password");
    std::vector<Message> missing;
    if (name == nullptr || !name->is_string())
        missing.push_back({"PropertyMissing", {"UserName"}, "#/UserName"});
    if (password == nullptr || !password->is_string())
        missing.push_back({"PropertyMissing", {"Password"}, "#/Password"});
    if (!missing.empty())
        co_return error_response(400, missing);
    auto session = co_await scope.services->sessions.log_in(
        std::string(name->get_string()), std::string(password->get_string()), scope.source);
    if (!session) {
        if (session.fault().kind != FaultKind::denied)
            co_return fault_response(session.fault());
        const Message message{"NoValidSession", {}, "", session.fault().message};
        co_return error_response(401, message);
    }
    const control::Hello& hello = (*session)->hello();
    const std::string uri = sessions_uri + "/" + hello.session;
    const json::object* oem = fields::member(body, "Oem");
    const json::object* ours = oem == nullptr ? nullptr : fields::member(*oem, "OpenLOM");
    const bool cookie = ours != nullptr && fields::flag(*ours, "Cookie");
    Response response = json_response(
        201, json::object{
                 {"@odata.id", uri},
                 {"@odata.type", "#Session.v1_7_0.Session"},
                 {"Id", hello.session},
                 {"Name", "Session " + hello.session},
                 {"UserName", hello.account},
                 {"SessionType", "WebUI"},
                 {"Oem",
                  json::object{{"OpenLOM", json::object{{"@odata.type", "#OpenLOM.v1_0_0.Session"},
                                                        {"Roles", hello.roles},
                                                        {"Hostname", hello.hostname}}}}}});
    response.with("Location", uri);
    if (cookie)
        response.with("Set-Cookie", "__Host-openlom=" + (*session)->token() +
                                        "; Path=/; Secure; HttpOnly; SameSite=Strict");
    else
        response.with("X-Auth-Token", (*session)->token());
    co_return std::move(response);
}

Task<Response> log_out(Scope& scope) {
    if (scope.ids[0] == scope.session->hello().session) {
        co_await scope.services->sessions.log_out(scope.session);
        Response gone = no_content();
        co_return std::move(gone.with("Set-Cookie",
                                      "__Host-openlom=; Path=/; Secure; HttpOnly; SameSite=Strict; "
                                      "Max-Age=0"));
    }
    const auto done = co_await run_in_tree(scope, "/SP/sessions/{0}", "delete", false);
    co_return done ? no_content() : fault_response(done.fault());
}

Resource service_root() {
    Resource root("/redfish/v1", "ServiceRoot.v1_15_0.ServiceRoot");
    root.constant("Id", "RootService").constant("Name", "OpenLOM service processor");
    root.constant("RedfishVersion", "1.17.0").constant("Product", "OpenLOM");
    root.constant("Vendor", "OpenLOM");
    root.constant(
        "ProtocolFeaturesSupported",
        json::object{{"ExpandQuery", json::object{{"ExpandAll", true},
                                                  {"Levels", true},
                                                  {"Links", true},
                                                  {"MaxLevels", 2},
                                                  {"NoLinks", true}}},
                     {"SelectQuery", true},
                     {"FilterQuery", true},
                     {"OnlyMemberQuery", true},
                     {"ExcerptQuery", false},
                     {"MultipleHTTPRequests", false},
                     {"DeepOperations", json::object{{"DeepPATCH", false}, {"DeepPOST", false}}}});
    root.link("AccountService", "/redfish/v1/AccountService");
    root.link("CertificateService", "/redfish/v1/CertificateService");
    root.link("Chassis", "/redfish/v1/Chassis").link("EventService", "/redfish/v1/EventService");
    root.link("JsonSchemas", "/redfish/v1/JsonSchemas").link("Managers", "/redfish/v1/Managers");
    root.link("Registries", "/redfish/v1/Registries");
    root.link("SessionService", "/redfish/v1/SessionService");
    root.link("Systems", "/redfish/v1/Systems").link("Tasks", "/redfish/v1/TaskService");
    root.link("Links/Sessions", sessions_uri);
    root.constant("Oem/OpenLOM", json::object{{"@odata.type", "#OpenLOM.v1_0_0.ServiceRoot"},
                                              {"Tree", link_to("/redfish/v1/Oem/OpenLOM/Tree")},
                                              {"Version", LOM_VERSION}});
    return root;
}

Resource session_service() {
    Resource service("/redfish/v1/SessionService", "SessionService.v1_1_9.SessionService");
    service.shows("/SP/services/https");
    service.constant("Id", "SessionService").constant("Name", "Session service");
    service.constant("ServiceEnabled", true);
    service.field({.at = "SessionTimeout",
                   .read =
                       [](const Scope& scope) {
                           return json::value(scope.number("/SP/services/https", "sessiontimeout") *
                                              60);
                       },
                   .target = "/SP/services/https",
                   .property = "sessiontimeout",
                   .convert = [](const json::value& seconds) -> Result<std::string> {
                       return std::to_string((seconds.to_number<std::int64_t>() + 59) / 60);
                   },
                   .kind = json::kind::int64});
    service.constant("Status", json::object{{"State", "Enabled"}, {"Health", "OK"}});
    service.link("Sessions", sessions_uri);
    return service;
}

Resource sessions() {
    Resource collection(sessions_uri, "SessionCollection.SessionCollection");
    collection.shows("/SP/sessions").constant("Name", "Sessions");
    collection.members([](const Scope& scope) {
        std::vector<std::string> uris;
        for (const control::TargetView& session : scope.view("/SP/sessions")->targets)
            uris.push_back(sessions_uri + "/" + session.name);
        return uris;
    });
    collection.creates(log_in);
    return collection;
}

Resource session() {
    const std::string target = "/SP/sessions/{0}";
    Resource one(sessions_uri + "/{}", "Session.v1_7_0.Session");
    one.shows(target);
    one.computed("Id", [](const Scope& scope) { return json::value(scope.ids[0]); });
    one.computed("Name", [](const Scope& scope) { return json::value("Session " + scope.ids[0]); });
    one.text("UserName", target, "username");
    one.text("ClientOriginIPAddress", target, "source");
    one.words("SessionType", target, "type", session_types());
    one.computed("CreatedTime", [target](const Scope& scope) -> std::optional<json::value> {
        const std::string time = iso_time(scope.text(target, "starttime"));
        return time.empty() ? std::nullopt : std::optional(json::value(time));
    });
    one.deletes(log_out);
    return one;
}

} // namespace

void declare_root(std::vector<Resource>& all) {
    all.push_back(service_root());
    all.push_back(session_service());
    all.push_back(sessions());
    all.push_back(session());
}

} // namespace lom::web
