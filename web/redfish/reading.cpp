// GET: what a resource shows, asked of lomd and put in Redfish's words.
#include "web/redfish/answerer.h"

#include <algorithm>
#include <cstdio>

namespace lom::web {

namespace {

constexpr std::size_t page = 100;  // members of a collection in one answer
constexpr int expand_budget = 400; // resources that one $expand may bring

/// FNV-1a: an ETag needs to differ, not to resist.
std::string etag_of(const json::object& object) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : json::serialize(object)) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 1099511628211ULL;
    }
    char text[20];
    std::snprintf(text, sizeof(text), "\"%016llx\"", static_cast<unsigned long long>(hash));
    return text;
}

void put(json::object& object, const std::string& at, json::value value) {
    const std::size_t slash = at.find('/');
    if (slash == std::string::npos) {
        object[at] = std::move(value);
        return;
    }
    json::value& inner = object[at.substr(0, slash)];
    if (!inner.is_object())
        inner = json::object{};
    put(inner.get_object(), at.substr(slash + 1), std::move(value));
}

/// Adds a property to @Redfish.WriteableProperties of the object that it is in.
void note_writable(json::object& object, const std::string& at) {
    const std::size_t slash = at.find('/');
    if (slash != std::string::npos)
        return note_writable(object[at.substr(0, slash)].get_object(), at.substr(slash + 1));
    json::value& names = object["@Redfish.WriteableProperties"];
    if (!names.is_array())
        names = json::array{};
    names.get_array().emplace_back(at);
}

Response query_refused(const Fault& fault) {
    const std::size_t equals = fault.message.find('=');
    const std::string name = fault.message.substr(0, equals);
    const std::string value = fault.message.substr(equals + 1);
    if (fault.kind == FaultKind::not_found) {
        const Message message{
            "QueryNotSupportedOnResource", {}, "", "Leave out the query parameter " + name + "."};
        return error_response(501, message);
    }
    const Message message{"QueryParameterValueFormatError", {value, name}};
    return error_response(400, message);
}

json::array allowed_json(const std::vector<std::string>& words) {
    json::array array;
    for (const std::string& word : words)
        array.emplace_back(word);
    return array;
}

/// The members of a collection that are asked for, and where the rest is.
void put_members(json::object& object, json::array members, const Query& query,
                 const std::string& uri) {
    const std::size_t count = members.size();
    const std::size_t begin = std::min(query.skip, count);
    const std::size_t size = std::min(query.top.value_or(page), page);
    const std::size_t end = std::min(begin + size, count);
    object["Members@odata.count"] = count;
    object["Members"] = json::array(members.begin() + static_cast<std::ptrdiff_t>(begin),
                                    members.begin() + static_cast<std::ptrdiff_t>(end));
    // A $top that was asked for is no page of ours, and has no next one.
    if (end < count && (!query.top || *query.top > page)) {
        std::string next = uri + "?$skip=" + std::to_string(end);
        if (query.top)
            next += "&$top=" + std::to_string(*query.top - page);
        object["Members@odata.nextLink"] = next;
    }
}

} // namespace

/// All at once: the answers come together.
Task<Result<void>> Answerer::load(const Resource& resource, Scope& scope) {
    const auto& shown = resource.shown_;
    std::vector<std::optional<Result<control::TargetView>>> views(shown.size());
    std::size_t missing = shown.size();
    auto all = later<bool>([&](std::function<void(bool)> done) {
        const auto there = [&missing, &loop = scope.services->loop, done = std::move(done)] {
            if (--missing == 0)
                loop.post([done] { done(true); });
        };
        for (std::size_t i = 0; i < shown.size(); ++i)
            detach<Result<control::TargetView>>(
                scope.session->show(filled_in(shown[i].target, scope.ids), shown[i].depth),
                [&view = views[i], there](Result<control::TargetView> result) {
                    view.emplace(std::move(result));
                    there();
                });
    });
    if (!shown.empty())
        co_await all;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        Result<control::TargetView>& view = *views[i];
        if (view)
            scope.views[filled_in(shown[i].target, scope.ids)] = std::move(*view);
        else if (!shown[i].optional || view.fault().kind != FaultKind::not_found)
            co_return view.fault();
    }
    co_return Result<void>();
}

Result<json::object> Answerer::render(const Resource& resource, const Scope& scope,
                                      const Query& query) {
    const bool root = scope.uri == "/redfish/v1"; // the one address that ends with a slash
    json::object object{{"@odata.id", root ? scope.uri + "/" : scope.uri},
                        {"@odata.type", "#" + resource.type_}};
    if (resource.body_) {
        json::object body = resource.body_(scope);
        if (body.empty())
            return Fault{FaultKind::not_found, "There is no such resource."};
        for (auto& [key, value] : body)
            object[key] = std::move(value);
    }
    for (const bool often : {false, true}) {
        for (const Field& field : resource.fields_) {
            if (field.changes_often != often)
                continue;
            auto value = field.read(scope);
            if (!value)
                continue;
            put(object, field.at, std::move(*value));
            // Not among the attributes of Bios: clients take each entry there for a setting.
            if (field.writable() && !field.at.starts_with("Attributes/"))
                note_writable(object, field.at);
            if (!field.allowed.empty())
                put(object, field.at + "@Redfish.AllowableValues", allowed_json(field.allowed));
        }
        if (often)
            break;
        for (const Action& action : resource.actions_) {
            json::object described{{"target", scope.uri + "/Actions/" + action.name}};
            if (action.is_described())
                described["@Redfish.ActionInfo"] = scope.uri + "/" + action.info_name();
            for (const Parameter& parameter : action.parameters)
                if (!parameter.allowed.empty())
                    described[parameter.name + "@Redfish.AllowableValues"] =
                        allowed_json(parameter.allowed);
            put(object, "Actions/#" + action.name, std::move(described));
        }
        if (resource.links_) {
            json::array members;
            for (const std::string& uri : resource.links_(scope))
                members.push_back(link_to(uri));
            put_members(object, std::move(members), query, scope.uri);
        }
        if (resource.inline_members_) {
            json::array members;
            for (json::object& member : resource.inline_members_(scope))
                members.push_back(std::move(member));
            put_members(object, std::move(members), query, scope.uri);
        }
        if (!resource.is_collection())
            object["@odata.etag"] = etag_of(object);
    }
    return object;
}

Task<bool> Answerer::expand(json::value& value, Expand wanted, const Scope& scope,
                            bool inside_links, int& budget) const {
    if (json::array* array = value.if_array()) {
        for (json::value& item : *array)
            co_await expand(item, wanted, scope, inside_links, budget);
        co_return true;
    }
    json::object* object = value.if_object();
    if (object == nullptr)
        co_return true;
    const json::value* id = object->if_contains("@odata.id");
    if (object->size() == 1 && id != nullptr && id->is_string()) {
        if (inside_links ? !wanted.links : !wanted.members)
            co_return true;
        const Place place = find(std::string(id->get_string()));
        if (place.resource == nullptr || place.action != nullptr || --budget < 0)
            co_return true;
        Scope inner;
        inner.uri = std::string(id->get_string());
        inner.ids = place.ids;
        inner.session = scope.session;
        inner.services = scope.services;
        const auto loaded = co_await load(*place.resource, inner);
        const Query all;
        auto rendered =
            loaded ? render(*place.resource, inner, all) : Result<json::object>(loaded.fault());
        if (!rendered)
            co_return true; // stays a link
        value = std::move(*rendered);
        if (wanted.levels > 1) {
            Expand deeper = wanted;
            --deeper.levels;
            for (auto& [key, part] : value.get_object())
                co_await expand(part, deeper, inner, key == "Links", budget);
        }
        co_return true;
    }
    for (auto& [key, part] : *object)
        co_await expand(part, wanted, scope, inside_links || key == "Links", budget);
    co_return true;
}

Task<bool> Answerer::filter(json::object& collection, const Query& query,
                            const Scope& scope) const {
    const auto filter = Filter::parse(query.filter);
    json::array* members = collection["Members"].if_array();
    if (!filter || members == nullptr)
        co_return static_cast<bool>(filter);
    json::array kept;
    for (const json::value& member : *members) {
        json::value whole = member;
        int budget = expand_budget;
        Expand once;
        once.members = true;
        co_await expand(whole, once, scope, false, budget);
        if (whole.is_object() && filter->matches(whole.get_object()))
            kept.push_back(member);
    }
    Query rest = query;
    put_members(collection, std::move(kept), rest, scope.uri);
    co_return true;
}

Task<Response> Answerer::get(const Request& request, const Resource& resource, Scope scope) const {
    auto query = parse_query_options(request.query);
    if (!query)
        co_return query_refused(query.fault());
    const bool paged = query->top || query->skip != 0 || !query->filter.empty() || query->only;
    if (paged && !resource.is_collection()) {
        const Message message{"QueryNotSupportedOnResource", {}};
        co_return error_response(400, message);
    }
    if (scope.session) {
        const auto loaded = co_await load(resource, scope);
        if (!loaded) {
            if (loaded.fault().kind == FaultKind::not_found)
                co_return not_there(scope.uri);
            co_return fault_response(loaded.fault());
        }
    }
    Query rendering = *query;
    if (!query->filter.empty()) {
        rendering.skip = 0;
        rendering.top.reset();
    }
    auto object = render(resource, scope, rendering);
    if (!object)
        co_return object.fault().kind == FaultKind::not_found ? not_there(scope.uri)
                                                              : fault_response(object.fault());
    if (!query->filter.empty()) {
        const bool understood = co_await filter(*object, *query, scope);
        if (!understood) {
            const Message message{"QueryParameterValueFormatError", {query->filter, "$filter"}};
            co_return error_response(400, message);
        }
    }
    if (resource.is_collection() && query->skip > 0 &&
        query->skip >= object->at("Members@odata.count").to_number<std::size_t>()) {
        const Message message{"QueryParameterOutOfRange",
                              {std::to_string(query->skip), "$skip",
                               "0 - " + json::serialize(object->at("Members@odata.count"))}};
        co_return error_response(400, message);
    }
    std::string etag;
    if (const json::value* tag = object->if_contains("@odata.etag"))
        etag = std::string(tag->get_string());
    if (!etag.empty() && etag_listed(request.header("if-none-match"), etag) &&
        !request.header("if-none-match").empty()) {
        Response same;
        same.status = 304;
        co_return std::move(same.with("ETag", etag));
    }
    json::value answer = std::move(*object);
    if (query->only && answer.at("Members").as_array().size() == 1) {
        answer = answer.at("Members").as_array()[0];
        Expand once;
        once.members = true;
        int budget = expand_budget;
        co_await expand(answer, once, scope, false, budget);
    }
    if (query->expand) {
        int budget = expand_budget;
        json::object& whole = answer.get_object();
        for (auto& [key, part] : whole)
            co_await expand(part, *query->expand, scope, key == "Links", budget);
    }
    if (!query->select.empty())
        apply_select(answer.get_object(), query->select);
    Response response = json_response(200, answer);
    response.with("Allow", resource.allow());
    if (!etag.empty())
        response.with("ETag", etag);
    const std::string schema = resource.type_.substr(0, resource.type_.rfind('.'));
    response.with("Link",
                  "<https://redfish.dmtf.org/schemas/v1/" + schema + ".json>; rel=describedby");
    co_return std::move(response);
}

} // namespace lom::web
