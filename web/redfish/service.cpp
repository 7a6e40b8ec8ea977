#include "web/redfish/service.h"

#include "web/redfish/answerer.h"
#include "web/redfish/events.h"
#include "web/redfish/shared_reads.h"
#include "web/redfish/tasks.h"
#include "web/streams.h"
#include "web/tree_api.h"

#include <set>

namespace lom::web {

namespace {

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    return path;
}

std::vector<Resource> declare_all() {
    std::vector<Resource> all;
    declare_root(all);
    declare_accounts(all);
    declare_managers(all);
    declare_media(all);
    declare_systems(all);
    declare_chassis(all);
    declare_logs(all);
    declare_services(all);
    declare_schemas(all);
    return all;
}

} // namespace

struct Redfish::Impl {
    Impl(Loop& loop, WebSessions& sessions)
        : events(loop), services{loop, sessions, tasks, events}, all(declare_all()),
          answerer(all, services) {}

    /// `$metadata`: the schemas in use, for OData clients.
    Response metadata() const {
        std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<edmx:Edmx "
                          "xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\" "
                          "Version=\"4.0\">\n";
        std::set<std::string> files;
        for (const Resource& resource : all)
            files.insert(resource.type().substr(0, resource.type().find('.')));
        for (const std::string& file : files)
            xml += "  <edmx:Reference Uri=\"http://redfish.dmtf.org/schemas/v1/" + file +
                   "_v1.xml\"><edmx:Include Namespace=\"" + file + "\"/></edmx:Reference>\n";
        xml += "  <edmx:DataServices><Schema xmlns=\"http://docs.oasis-open.org/odata/ns/edm\" "
               "Namespace=\"Service\"><EntityContainer Name=\"Service\" "
               "Extends=\"ServiceRoot.v1_15_0.ServiceContainer\"/></Schema></edmx:DataServices>\n"
               "</edmx:Edmx>\n";
        Response response;
        response.body = xml;
        return std::move(response.with("Content-Type", "application/xml; charset=utf-8"));
    }

    static Response odata() {
        json::array values;
        const auto add = [&](const char* name, const char* uri) {
            values.push_back(json::object{{"name", name}, {"kind", "Singleton"}, {"url", uri}});
        };
        add("Service", "/redfish/v1/");
        add("Systems", "/redfish/v1/Systems");
        add("Managers", "/redfish/v1/Managers");
        add("Chassis", "/redfish/v1/Chassis");
        add("SessionService", "/redfish/v1/SessionService");
        add("AccountService", "/redfish/v1/AccountService");
        add("EventService", "/redfish/v1/EventService");
        add("Tasks", "/redfish/v1/TaskService");
        return json_response(200, json::object{{"@odata.context", "/redfish/v1/$metadata"},
                                               {"value", std::move(values)}});
    }

    Task<Response> answer(const Request& request, WebSessions::Ptr session) {
        if (const std::string version = request.header("odata-version");
            !version.empty() && version != "4.0") {
            const Message message{"HeaderInvalid", {"OData-Version"}};
            co_return error_response(412, message);
        }
        const std::string uri = without_slash(request.path);
        const bool reads = request.method == "GET" || request.method == "HEAD";
        if (uri == "/redfish" && reads)
            co_return json_response(200, json::object{{"v1", "/redfish/v1/"}});
        if (uri == "/redfish/v1/odata" && reads)
            co_return odata();
        if (uri == "/redfish/v1/$metadata" && reads)
            co_return metadata();
        if (uri == "/redfish/v1/EventService/SSE" && reads && session) {
            auto response = co_await events.stream(std::move(session));
            co_return std::move(response);
        }
        if ((uri == tree_root || uri.starts_with(std::string(tree_root) + "/")) && session) {
            auto response = co_await answer_tree(request, std::move(session));
            co_return std::move(response);
        }
        if (Streams::is_one(uri)) {
            auto response = co_await streams.answer(request, std::move(session));
            co_return std::move(response);
        }
        if (const TaskRecord* task = session && reads ? tasks.monitored(uri) : nullptr)
            co_return monitor_response(*task);
        auto response = co_await resource(request, uri, std::move(session));
        co_return std::move(response);
    }

    Task<Response> resource(const Request& request, const std::string& uri,
                            WebSessions::Ptr session) {
        if (request.method != "GET" || !session) {
            auto response = co_await answerer.answer(request, uri, std::move(session));
            co_return std::move(response);
        }
        std::string key = session->token() + "\n" + request.path + "?" + request.raw_query + "\n" +
                          request.header("if-none-match");
        SharedReads::Read read = [this, &request, &uri, session] {
            return answerer.answer(request, uri, session);
        };
        auto response = co_await shared_reads.answer(std::move(key), std::move(read));
        co_return std::move(response);
    }

    Tasks tasks;
    EventHub events;
    Services services;
    std::vector<Resource> all;
    Answerer answerer;
    SharedReads shared_reads;
    Streams streams;
};

Redfish::Redfish(Loop& loop, WebSessions& sessions)
    : impl_(std::make_unique<Impl>(loop, sessions)) {}
Redfish::~Redfish() = default;

bool Redfish::is_open_to_all(const Request& request) {
    const std::string uri = without_slash(request.path);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (reads && (uri == "/redfish" || uri == "/redfish/v1" || uri == "/redfish/v1/odata" ||
                  uri == "/redfish/v1/$metadata"))
        return true;
    if (Streams::is_one(uri) && request.query.contains("ticket"))
        return true;
    return request.method == "POST" && (uri == "/redfish/v1/SessionService/Sessions" ||
                                        uri == "/redfish/v1/SessionService/Sessions/Members");
}

Task<Response> Redfish::answer(const Request& request, WebSessions::Ptr session) {
    return impl_->answer(request, std::move(session));
}

} // namespace lom::web
