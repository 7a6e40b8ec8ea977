#include "web/redfish/service.h"

#include "web/redfish/answerer.h"
#include "web/redfish/documents.h"
#include "web/redfish/events.h"
#include "web/redfish/headers.h"
#include "web/redfish/shared_reads.h"
#include "web/redfish/tasks.h"
#include "web/streams.h"
#include "web/tree_api.h"

namespace lom::web {

namespace {

constexpr std::chrono::seconds quiet_limit{5};
constexpr std::string_view stream_uri = "/redfish/v1/EventService/SSE";

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/')
        path.pop_back();
    return path;
}

bool is_in_tree(const std::string& uri) {
    return uri == tree_root || uri.starts_with(std::string(tree_root) + "/");
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
    declare_action_infos(all);
    declare_schemas(all);
    return all;
}

} // namespace

struct Redfish::Impl {
    Impl(Loop& loop, WebSessions& sessions)
        : events(loop), services{loop, sessions, tasks, events}, all(declare_all()), documents(all),
          answerer(all, services) {}

    Task<Response> answer(const Request& request, WebSessions::Ptr session) {
        const std::string uri = without_slash(request.path);
        const Documents::Document* document = documents.find(uri);
        const bool stream = uri == stream_uri;
        const char* type = stream ? "text/event-stream" : "application/json";
        auto refused = refused_by_headers(request, document ? document->type.c_str() : type);
        if (refused && refused->status == 406 && !is_there(uri))
            co_return not_there(uri); // whatever its type would be
        if (refused)
            co_return std::move(*refused);
        if (document)
            co_return Documents::answer(*document, request);
        const bool reads = request.method == "GET" || request.method == "HEAD";
        if (stream && session) {
            if (request.method != "GET")
                co_return method_refused("GET");
            auto response = co_await events.stream(std::move(session));
            co_return std::move(response);
        }
        if (is_in_tree(uri) && session) {
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

    /// Declared, or not to be told from what is: a target of the tree, a task.
    bool is_there(const std::string& uri) const {
        return documents.find(uri) != nullptr || uri == stream_uri || is_in_tree(uri) ||
               Streams::is_one(uri) || tasks.monitored(uri) != nullptr || answerer.knows(uri);
    }

    Task<Response> resource(const Request& request, const std::string& uri,
                            WebSessions::Ptr session) {
        // lomd is to hear of a session now and then, or it shows as idle there.
        const bool shares = session && session->since_asked() < quiet_limit;
        if (request.method != "GET" || !shares) {
            auto response = co_await answerer.answer(request, uri, std::move(session));
            co_return std::move(response);
        }
        std::string key = session->hello().account + "\n" + request.path + "?" + request.raw_query +
                          "\n" + request.header("if-none-match");
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
    Documents documents;
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
