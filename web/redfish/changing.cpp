// PATCH, POST and DELETE: what is wrong with a request, and what it does in the tree.
#include "web/redfish/answerer.h"

#include <algorithm>

namespace lom::web {

namespace {

bool fits(const json::value& value, json::kind kind) {
    if (kind == json::kind::int64)
        return value.is_int64() || value.is_uint64();
    return value.kind() == kind;
}

std::string plain(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

} // namespace

// -- PATCH

Task<bool> Answerer::collect_writes(const Resource& resource, const json::object& body,
                                    std::string prefix, Scope& scope, std::vector<Message>& refused,
                                    int& status, int& done) {
    for (const auto& [key, value] : body) {
        const std::string at = prefix + std::string(key);
        if (key.find("@odata.") != json::string_view::npos)
            continue; // annotations are ignored, as the specification wants
        if (key == "@Redfish.SettingsApplyTime" && resource.type_.starts_with("Bios.")) {
            const json::object* wanted = value.if_object();
            const std::string time = wanted == nullptr ? "" : fields::text(*wanted, "ApplyTime");
            if (time != "OnReset")
                refused.push_back({"PropertyValueNotInList", {time, "ApplyTime"}, "#/" + at});
            continue;
        }
        const Field* field = nullptr;
        bool has_inner = false;
        for (const Field& candidate : resource.fields_) {
            if (candidate.at == at)
                field = &candidate;
            has_inner = has_inner || candidate.at.starts_with(at + "/");
        }
        const std::string pointer = "#/" + at;
        if (field == nullptr && has_inner && value.is_object()) {
            std::string inner = at + "/";
            co_await collect_writes(resource, value.get_object(), std::move(inner), scope, refused,
                                    status, done);
            continue;
        }
        if (field == nullptr) {
            const bool known = has_inner || at == "Id" || at == "Name";
            refused.push_back(known ? Message{"PropertyValueTypeError", {plain(value), at}, pointer}
                                    : Message{"PropertyUnknown", {at}, pointer});
            continue;
        }
        if (!field->writable()) {
            refused.push_back({"PropertyNotWritable", {at}, pointer});
            continue;
        }
        if (field->kind != json::kind::null && !fits(value, field->kind)) {
            refused.push_back({"PropertyValueTypeError", {plain(value), at}, pointer});
            continue;
        }
        if (!field->allowed.empty() && std::find(field->allowed.begin(), field->allowed.end(),
                                                 plain(value)) == field->allowed.end()) {
            refused.push_back({"PropertyValueNotInList", {plain(value), at}, pointer});
            continue;
        }
        Result<void> outcome;
        if (field->write) {
            outcome = co_await field->write(scope, value);
        } else {
            auto text = field->convert(value);
            if (text)
                outcome = co_await set_in_tree(scope, field->target, field->property, *text);
            else
                outcome = text.fault();
        }
        if (outcome) {
            ++done;
        } else {
            status = status_of(outcome.fault().kind);
            refused.push_back(fault_message(outcome.fault(), at));
        }
    }
    co_return true;
}

bool Answerer::out_of_date(const Request& request, const Resource& resource, const Scope& scope) {
    const std::string wanted = request.header("if-match");
    if (wanted.empty() || wanted == "*")
        return false;
    const auto now = render(resource, scope, Query());
    return !now || !etag_listed(wanted, std::string(now->at("@odata.etag").as_string()));
}

Task<Response> Answerer::patch(const Request& request, const Resource& resource,
                               Scope scope) const {
    auto body = parse_body(request.body);
    if (!body) {
        const Message message{"MalformedJSON", {}};
        co_return error_response(400, message);
    }
    const auto loaded = co_await load(resource, scope);
    if (!loaded)
        co_return loaded.fault().kind == FaultKind::not_found ? not_there(scope.uri)
                                                              : fault_response(loaded.fault());
    if (out_of_date(request, resource, scope)) {
        const Message message{"PreconditionFailed", {}};
        co_return error_response(412, message);
    }
    const Query everything;
    std::vector<Message> refused;
    int status = 400;
    int done = 0;
    scope.body = *body;
    std::string top;
    co_await collect_writes(resource, *body, std::move(top), scope, refused, status, done);
    if (done == 0 && refused.empty())
        refused.push_back({"NoOperation", {}});
    if (done == 0)
        co_return error_response(status, refused);
    scope.views.clear();
    const auto again = co_await load(resource, scope);
    auto object = again ? render(resource, scope, everything) : Result<json::object>(again.fault());
    if (!object)
        co_return no_content(); // changed, and out of sight by that
    if (!refused.empty())
        (*object)["@Message.ExtendedInfo"] = messages_json(refused);
    const std::string etag(object->at("@odata.etag").as_string());
    Response response = json_response(200, *object);
    co_return std::move(response.with("ETag", etag));
}

// -- POST, DELETE

namespace {

/// What is wrong with an action's parameters; empty: nothing.
std::vector<Message> wrong_parameters(const Action& action, const json::object& body) {
    std::vector<Message> wrong;
    for (const auto& [key, value] : body) {
        const std::string name(key);
        const auto known =
            std::find_if(action.parameters.begin(), action.parameters.end(),
                         [&](const Parameter& parameter) { return parameter.name == name; });
        if (known == action.parameters.end())
            wrong.push_back({"ActionParameterUnknown", {action.name, name}});
        else if (!fits(value, known->kind) && !(value.is_null() && !known->required))
            wrong.push_back({"ActionParameterValueTypeError", {plain(value), name, action.name}});
        else if (!known->allowed.empty() && !value.is_null() &&
                 std::find(known->allowed.begin(), known->allowed.end(), plain(value)) ==
                     known->allowed.end())
            wrong.push_back({"ActionParameterValueNotInList", {plain(value), name, action.name}});
    }
    for (const Parameter& parameter : action.parameters)
        if (parameter.required && !body.contains(parameter.name))
            wrong.push_back({"ActionParameterMissing", {action.name, parameter.name}});
    return wrong;
}

} // namespace

Task<Response> Answerer::act(const Request& request, const Action& action, Scope scope) const {
    auto body =
        request.body.empty() ? Result<json::object>(json::object{}) : parse_body(request.body);
    if (!body) {
        const Message message{"MalformedJSON", {}};
        co_return error_response(400, message);
    }
    const auto wrong = wrong_parameters(action, *body);
    if (!wrong.empty())
        co_return error_response(400, wrong);
    auto response = co_await action.run(scope, std::move(*body));
    co_return std::move(response);
}

Task<Response> Answerer::create(const Request& request, const Resource& resource,
                                Scope scope) const {
    auto body = parse_body(request.body);
    if (!body) {
        const Message message{"MalformedJSON", {}};
        co_return error_response(400, message);
    }
    auto response = co_await resource.create_(scope, std::move(*body));
    co_return std::move(response);
}

Task<Response> Answerer::remove(const Request& request, const Resource& resource,
                                Scope scope) const {
    const auto loaded = co_await load(resource, scope);
    if (!loaded)
        co_return loaded.fault().kind == FaultKind::not_found ? not_there(scope.uri)
                                                              : fault_response(loaded.fault());
    if (out_of_date(request, resource, scope)) {
        const Message message{"PreconditionFailed", {}};
        co_return error_response(412, message);
    }
    auto response = co_await resource.remove_(scope);
    co_return std::move(response);
}

} // namespace lom::web
