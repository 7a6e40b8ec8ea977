#include "web/redfish/answerer.h"

namespace lom::web {

Response not_there(const std::string& uri) {
    const Message message{"ResourceMissingAtURI", {uri}};
    return error_response(404, message);
}

Answerer::Place Answerer::find(const std::string& uri) const {
    Place place;
    for (const Resource& resource : all_)
        if (resource.match(uri, place.ids)) {
            place.resource = &resource;
            return place;
        }
    const std::size_t actions = uri.rfind("/Actions/");
    if (actions == std::string::npos)
        return place;
    const std::string owner = uri.substr(0, actions);
    const std::string name = uri.substr(actions + 9);
    for (const Resource& resource : all_) {
        if (!resource.match(owner, place.ids))
            continue;
        for (const Action& action : resource.actions_)
            if (action.name == name) {
                place.resource = &resource;
                place.action = &action;
                return place;
            }
    }
    return place;
}

bool Answerer::knows(const std::string& uri) const { return find(uri).resource != nullptr; }

Task<Response> Answerer::answer(const Request& request, std::string uri,
                                WebSessions::Ptr session) const {
    // A POST to a collection's member list is one to the collection.
    if (constexpr std::string_view list = "/Members";
        request.method == "POST" && uri.ends_with(list))
        uri.resize(uri.size() - list.size());
    const Place place = find(uri);
    if (place.resource == nullptr)
        co_return not_there(uri);
    Scope scope;
    scope.uri = uri;
    scope.ids = place.ids;
    scope.session = session;
    scope.source = request.source;
    scope.services = &services_;
    if (request.method == "OPTIONS") {
        Response options = no_content();
        co_return std::move(
            options.with("Allow", place.action != nullptr ? "POST" : place.resource->allow()));
    }
    if (place.action != nullptr) {
        if (request.method != "POST")
            co_return method_refused("POST");
        auto response = co_await act(request, *place.action, std::move(scope));
        co_return std::move(response);
    }
    const Resource& resource = *place.resource;
    if (request.method == "GET" || request.method == "HEAD") {
        auto response = co_await get(request, resource, std::move(scope));
        co_return std::move(response);
    }
    if (request.method == "PATCH" && resource.can_patch()) {
        auto response = co_await patch(request, resource, std::move(scope));
        co_return std::move(response);
    }
    if (request.method == "POST" && resource.create_) {
        auto response = co_await create(request, resource, std::move(scope));
        co_return std::move(response);
    }
    if (request.method == "DELETE" && resource.remove_) {
        auto response = co_await remove(request, resource, std::move(scope));
        co_return std::move(response);
    }
    co_return method_refused(resource.allow());
}

} // namespace lom::web
