// Answers one request from a resource's declaration. Internal: only .cpp files take it.
#pragma once

#include "web/redfish/headers.h"
#include "web/redfish/query.h"
#include "web/redfish/resource.h"

#include <memory>
#include <string>
#include <vector>

namespace lom::web {

class Answerer {
  public:
    Answerer(const std::vector<Resource>& all, Services& services)
        : all_(all), services_(services) {}

    /// `uri` without a trailing slash.
    Task<Response> answer(const Request& request, std::string uri, WebSessions::Ptr session) const;
    /// Whether a resource or an action of that address is declared.
    bool knows(const std::string& uri) const;

  private:
    struct Place {
        const Resource* resource = nullptr;
        const Action* action = nullptr;
        std::vector<std::string> ids;
    };
    Place find(const std::string& uri) const;

    Task<Response> get(const Request& request, const Resource& resource, Scope scope) const;
    Task<Response> patch(const Request& request, const Resource& resource, Scope scope) const;
    Task<Response> act(const Request& request, const Action& action, Scope scope) const;
    Task<Response> create(const Request& request, const Resource& resource, Scope scope) const;
    Task<Response> remove(const Request& request, const Resource& resource, Scope scope) const;

    /// An If-Match that names another state than the one that was loaded: 412.
    static bool out_of_date(const Request& request, const Resource& resource, const Scope& scope);
    /// Asks lomd for what the resource shows.
    static Task<Result<void>> load(const Resource& resource, Scope& scope);
    /// The resource as JSON, with its ETag; members and paging by `query`.
    static Result<json::object> render(const Resource& resource, const Scope& scope,
                                       const Query& query);
    Task<bool> expand(json::value& value, Expand expand, const Scope& scope, bool inside_links,
                      int& budget) const;
    Task<bool> filter(json::object& collection, const Query& query, const Scope& scope) const;
    static Task<bool> collect_writes(const Resource& resource, const json::object& body,
                                     std::string prefix, Scope& scope,
                                     std::vector<Message>& refused, int& status, int& done);

    const std::vector<Resource>& all_;
    Services& services_;
};

/// 404.
Response not_there(const std::string& uri);

} // namespace lom::web
