#include "web/tree_api.h"

#include "web/json.h"
#include "web/redfish/messages.h"

#include <algorithm>
#include <cstdlib>

namespace lom::web {

namespace {

constexpr int deepest = 12;

std::string uri_of(const std::string& path) {
    return std::string(tree_root) + (path == "/" ? "" : path);
}

json::array texts(const std::vector<std::string>& items) {
    json::array array;
    for (const std::string& item : items)
        array.emplace_back(item);
    return array;
}

json::object value_json(const control::PropertyView& property) {
    json::value value = fragment(property.json);
    if (value.is_string() && value.get_string().empty())
        value = nullptr;
    const char* name = value.is_array() ? "Values" : "Value"; // a schema gives a name one type
    return {{name, std::move(value)}, {"Text", property.text}};
}

/// Where an escape sequence (ECMA-48) that begins at `at` ends.
std::size_t after_escape(const std::string& text, std::size_t at) {
    const char kind = at + 1 < text.size() ? text[at + 1] : ' ';
    std::size_t end = at + 2;
    if (kind == '[') // to its final byte
        while (end < text.size() && (text[end] < '@' || text[end] > '~'))
            ++end;
    else if (kind == ']') // a title, to its BEL
        while (end < text.size() && text[end] != '\x07')
            ++end;
    else if (kind < '0' || kind > '~') // as in "ESC ( B"
        return end + 1;
    else
        return end;
    return end + 1;
}

/// What a terminal would obey is left out: who shows a text elsewhere may choke on it.
std::string without_controls(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte == 0x1b) {
            i = after_escape(text, i);
            continue;
        }
        if ((byte >= ' ' && byte != 0x7f) || byte == '\n' || byte == '\t')
            plain += text[i];
        ++i;
    }
    return plain;
}

json::object view_json(const control::TargetView& view, bool raw) {
    json::object object{{"@odata.id", uri_of(view.path)},
                        {"@odata.type", "#OpenLOMTarget.v1_0_0.OpenLOMTarget"},
                        {"Id", view.name.empty() ? "Tree" : view.name},
                        {"Name", view.name.empty() ? "Tree" : view.name},
                        {"Path", view.path}};
    if (!view.expanded)
        return object;
    json::object properties;
    for (const control::PropertyView& property : view.properties)
        properties[property.name] = value_json(property);
    object["Properties"] = std::move(properties);
    json::array targets;
    for (const control::TargetView& target : view.targets)
        targets.push_back(view_json(target, raw));
    object["Targets"] = std::move(targets);
    object["Commands"] = texts(view.commands);
    if (view.text && !view.text->empty())
        object["Text"] = raw ? *view.text : without_controls(*view.text);
    if (view.table) {
        json::array rows;
        for (const auto& row : view.table->rows)
            rows.push_back(json::object{{"Cells", texts(row)}});
        object["Table"] = json::object{{"Title", view.table->title},
                                       {"Columns", texts(view.table->columns)},
                                       {"Rows", std::move(rows)}};
    }
    return object;
}

json::object property_json(const control::PropertyDescription& property) {
    return {{"Name", property.name},
            {"Doc", property.doc},
            {"Type", property.type},
            {"Values", texts(property.values)},
            {"WriteRole", property.write_role},
            {"Readable", property.readable},
            {"Secret", property.secret},
            {"Required", property.required},
            {"Question", property.question}};
}

json::array properties_json(const std::vector<control::PropertyDescription>& properties) {
    json::array array;
    for (const auto& property : properties)
        array.push_back(property_json(property));
    return array;
}

json::object description_json(const control::TargetDescription& description) {
    json::array verbs;
    for (const control::VerbDescription& verb : description.verbs)
        verbs.push_back(json::object{{"Name", verb.name},
                                     {"Doc", verb.doc},
                                     {"Role", verb.role},
                                     {"Question", verb.question},
                                     {"ForceQuestion", verb.force_question},
                                     {"Properties", properties_json(verb.properties)}});
    json::object targets;
    for (const auto& [name, doc] : description.targets)
        targets[name] = doc;
    return {{"Doc", description.doc},
            {"Properties", properties_json(description.properties)},
            {"Verbs", std::move(verbs)},
            {"Targets", std::move(targets)}};
}

Task<Response> get(const Request& request, std::shared_ptr<WebSession> session, std::string path) {
    int depth = 1;
    if (const auto asked = request.query.find("depth"); asked != request.query.end())
        depth = std::clamp(std::atoi(asked->second.c_str()), 1, deepest);
    const auto view = co_await session->show(path, depth);
    if (!view)
        co_return fault_response(view.fault());
    json::object object = view_json(*view, request.query.contains("raw"));
    if (request.query.contains("describe")) {
        const auto description = co_await session->describe(path);
        if (!description)
            co_return fault_response(description.fault());
        object["Description"] = description_json(*description);
    }
    co_return json_response(200, object);
}

Task<Response> patch(json::object body, std::shared_ptr<WebSession> session, std::string path) {
    json::array done;
    std::vector<Message> refused;
    int status = 400;
    for (const auto& [key, value] : body) {
        const std::string name(key);
        bool fine = true;
        const std::string text = set_text(value, fine);
        if (!fine) {
            refused.push_back({"PropertyValueTypeError", {"{}", name}, "#/" + name});
            continue;
        }
        const auto reply = co_await session->set(path, name, text);
        if (reply) {
            done.push_back(json::object{
                {"Property", reply->property}, {"Text", reply->text}, {"Message", reply->message}});
            continue;
        }
        status = status_of(reply.fault().kind);
        refused.push_back(fault_message(reply.fault(), name));
    }
    if (!refused.empty() && done.empty())
        co_return error_response(status, refused);
    json::object answer{{"Set", std::move(done)}};
    if (!refused.empty())
        answer["@Message.ExtendedInfo"] = messages_json(refused);
    co_return json_response(200, answer);
}

Task<Response> run(json::object body, std::shared_ptr<WebSession> session, std::string path,
                   std::string verb) {
    control::RunRequest wanted;
    wanted.target = path;
    wanted.verb = verb.empty() ? fields::text(body, "Verb") : verb;
    wanted.force = fields::flag(body, "Force");
    if (const json::object* properties = fields::member(body, "Properties"))
        for (const auto& [name, value] : *properties) {
            bool fine = true;
            wanted.properties.emplace_back(std::string(name), set_text(value, fine));
            if (!fine) {
                const Message message{"PropertyValueTypeError", {"{}", std::string(name)}};
                co_return error_response(400, message);
            }
        }
    if (wanted.verb.empty()) {
        const Message message{"PropertyMissing", {"Verb"}, "#/Verb"};
        co_return error_response(400, message);
    }
    const bool creates = wanted.verb == "create";
    auto reply = co_await session->run(std::move(wanted));
    if (!reply)
        co_return fault_response(reply.fault());
    // A console's descriptor closes here: consoles come by websocket.
    Response response =
        json_response(creates ? 201 : 200, json::object{{"Message", reply->message}});
    if (creates)
        response.with("Location", uri_of(path));
    co_return std::move(response);
}

} // namespace

Task<Response> answer_tree(const Request& request, std::shared_ptr<WebSession> session) {
    std::string path = request.path.substr(tree_root.size());
    if (path.empty())
        path = "/";
    if (request.method == "GET" || request.method == "HEAD") {
        auto response = co_await get(request, std::move(session), std::move(path));
        co_return std::move(response);
    }
    if (request.method == "DELETE") {
        json::object nothing;
        auto response =
            co_await run(std::move(nothing), std::move(session), std::move(path), "delete");
        co_return std::move(response);
    }
    if (request.method != "PATCH" && request.method != "POST")
        co_return method_refused("GET, HEAD, PATCH, POST, DELETE");
    auto body = parse_body(request.body);
    if (!body) {
        const Message message{"MalformedJSON", {}};
        co_return error_response(400, message);
    }
    if (request.method == "PATCH") {
        auto response = co_await patch(std::move(*body), std::move(session), std::move(path));
        co_return std::move(response);
    }
    auto response = co_await run(std::move(*body), std::move(session), std::move(path), "");
    co_return std::move(response);
}

} // namespace lom::web
