#include "sp/control/wire.h"

#include "base/json_fields.h"

#include <algorithm>
#include <array>

namespace json = boost::json;

namespace lom::control {

namespace {

using namespace fields;

constexpr std::array kind_names{"usage",       "invalid_value", "not_found",   "denied",
                                "wrong_state", "busy",          "unavailable", "internal"};

Fault nonsense() { return {FaultKind::internal, "The service processor gave a malformed reply."}; }

std::vector<std::string> texts(const json::array& array) {
    std::vector<std::string> items;
    for (const json::value& value : array)
        items.emplace_back(value.is_string() ? std::string(value.get_string()) : std::string());
    return items;
}

std::vector<std::pair<std::string, std::string>> pairs(const json::array& array) {
    std::vector<std::pair<std::string, std::string>> items;
    for (const json::value& value : array)
        if (value.is_array() && value.get_array().size() == 2) {
            const auto two = texts(value.get_array());
            items.emplace_back(two[0], two[1]);
        }
    return items;
}

json::array array_of(const std::vector<std::string>& items) {
    json::array array;
    for (const std::string& item : items)
        array.emplace_back(item);
    return array;
}

json::array array_of(const std::vector<std::pair<std::string, std::string>>& items) {
    json::array array;
    for (const auto& [first, second] : items)
        array.push_back(json::array{first, second});
    return array;
}

/// Memory for one message, given back as a whole with the last value in it: an answer may have
/// thousands of small ones.
json::storage_ptr one_arena() { return json::make_shared_resource<json::monotonic_resource>(); }

std::optional<json::object> parse_object(std::string_view text_in) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 300; // a view nests as deep as the tree is
    json::value value = json::parse(text_in, error, one_arena(), options);
    if (error || !value.is_object())
        return std::nullopt;
    return std::move(value.get_object());
}

/// The "ok" object of a reply, or its fault.
Result<json::object> accepted(std::string_view text_in) {
    auto reply = parse_object(text_in);
    if (!reply)
        return nonsense();
    if (const json::object* fault = member(*reply, "fault")) {
        const std::string kind = text(*fault, "kind");
        for (std::size_t i = 0; i < kind_names.size(); ++i)
            if (kind == kind_names[i])
                return Fault{static_cast<FaultKind>(i), text(*fault, "message")};
        return nonsense();
    }
    json::value* ok = reply->if_contains("ok");
    if (ok == nullptr || !ok->is_object())
        return nonsense();
    return std::move(ok->get_object());
}

std::string reply_text(std::int64_t id, json::object body) {
    json::object reply(body.storage()); // so that the body is moved, not copied
    reply.emplace("id", id);
    reply.emplace("ok", std::move(body));
    return json::serialize(reply);
}

json::object to_json(const PropertyView& property, const json::storage_ptr& arena) {
    return {{{"name", property.name}, {"text", property.text}, {"json", property.json}}, arena};
}

json::object to_json(const TargetView& view, const json::storage_ptr& arena) {
    json::object object({{"path", view.path}, {"name", view.name}, {"expanded", view.expanded}},
                        arena);
    if (!view.note.empty())
        object["note"] = view.note;
    if (view.expanded) {
        json::array properties(arena);
        properties.reserve(view.properties.size());
        for (const PropertyView& property : view.properties)
            properties.emplace_back(to_json(property, arena));
        object["properties"] = std::move(properties);
        json::array targets(arena);
        targets.reserve(view.targets.size());
        for (const TargetView& target : view.targets)
            targets.emplace_back(to_json(target, arena));
        object["targets"] = std::move(targets);
        object["commands"] = array_of(view.commands);
    }
    if (view.text)
        object["text"] = *view.text;
    if (view.page_lines)
        object["page_lines"] = *view.page_lines;
    if (view.table) {
        json::array rows;
        for (const auto& row : view.table->rows)
            rows.push_back(array_of(row));
        object["table"] = json::object{
            {"title", view.table->title},
            {"columns", array_of(view.table->columns)},
            {"widths", json::array(view.table->widths.begin(), view.table->widths.end())},
            {"rows", std::move(rows)}};
    }
    return object;
}

TargetView view_from(const json::object& object, int levels_left) {
    TargetView view;
    view.path = text(object, "path");
    view.name = text(object, "name");
    view.note = text(object, "note");
    view.expanded = flag(object, "expanded");
    view.commands = texts(list(object, "commands"));
    for (const json::value& value : list(object, "properties"))
        if (const json::object* property = value.if_object())
            view.properties.push_back(
                {text(*property, "name"), text(*property, "text"), text(*property, "json")});
    for (const json::value& value : list(object, "targets"))
        if (const json::object* target = value.if_object(); target != nullptr && levels_left > 0)
            view.targets.push_back(view_from(*target, levels_left - 1));
    if (const json::value* value = object.if_contains("text");
        value != nullptr && value->is_string())
        view.text = std::string(value->get_string());
    if (object.contains("page_lines"))
        view.page_lines = number<std::int64_t>(object, "page_lines");
    if (const json::object* table = member(object, "table")) {
        view.table.emplace();
        view.table->title = text(*table, "title");
        view.table->columns = texts(list(*table, "columns"));
        for (const json::value& width : list(*table, "widths"))
            view.table->widths.push_back(
                width.is_int64()
                    ? static_cast<std::size_t>(std::clamp<std::int64_t>(width.get_int64(), 0, 200))
                    : 0);
        for (const json::value& row : list(*table, "rows"))
            if (row.is_array())
                view.table->rows.push_back(texts(row.get_array()));
    }
    return view;
}

json::object to_json(const PropertyDescription& property) {
    return {{"name", property.name},
            {"doc", property.doc},
            {"type", property.type},
            {"values", array_of(property.values)},
            {"value_docs", array_of(property.value_docs)},
            {"write_role", property.write_role},
            {"readable", property.readable},
            {"secret", property.secret},
            {"required", property.required},
            {"question", property.question}};
}

json::array to_json(const std::vector<PropertyDescription>& properties) {
    json::array array;
    for (const PropertyDescription& property : properties)
        array.push_back(to_json(property));
    return array;
}

std::vector<PropertyDescription> properties_from(const json::array& array) {
    std::vector<PropertyDescription> properties;
    for (const json::value& value : array)
        if (const json::object* object = value.if_object())
            properties.push_back({text(*object, "name"), text(*object, "doc"),
                                  text(*object, "type"), texts(list(*object, "values")),
                                  text(*object, "write_role"), flag(*object, "readable", true),
                                  flag(*object, "secret"), flag(*object, "required"),
                                  text(*object, "question"), texts(list(*object, "value_docs"))});
    return properties;
}

} // namespace

// -- frames

std::string frame(std::string_view body) {
    const auto size = static_cast<std::uint32_t>(body.size());
    std::string bytes{static_cast<char>(size >> 24U), static_cast<char>(size >> 16U),
                      static_cast<char>(size >> 8U), static_cast<char>(size)};
    return bytes.append(body);
}

Result<void> FrameReader::feed(std::string_view bytes) {
    if (used_ > 0) {
        buffer_.erase(0, used_);
        used_ = 0;
    }
    buffer_.append(bytes);
    // Checked as soon as the length is known, before the body fills the memory.
    if (buffer_.size() >= 4) {
        std::size_t size = 0;
        for (std::size_t i = 0; i < 4; ++i)
            size = size << 8U | static_cast<unsigned char>(buffer_[i]);
        if (size > longest_)
            return Fault{FaultKind::usage, "A message is longer than is allowed."};
    }
    return {};
}

std::optional<std::string> FrameReader::next() {
    if (buffer_.size() - used_ < 4)
        return std::nullopt;
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i)
        size = size << 8U | static_cast<unsigned char>(buffer_[used_ + i]);
    if (buffer_.size() - used_ - 4 < size)
        return std::nullopt;
    std::string message = buffer_.substr(used_ + 4, size);
    used_ += 4 + size;
    if (used_ == buffer_.size()) {
        buffer_.clear();
        buffer_.shrink_to_fit(); // a long message must not stay allocated while idle
        used_ = 0;
    }
    return message;
}

// -- requests

std::string encode(const Request& request) {
    json::object object{{"id", request.id}, {"op", request.op}};
    const auto put = [&](const char* name, const std::string& value) {
        if (!value.empty())
            object[name] = value;
    };
    if (request.version != 0)
        object["version"] = request.version;
    put("ticket", request.ticket);
    put("username", request.username);
    put("password", request.password);
    put("source", request.source);
    put("key", request.key);
    put("signed_data", request.signed_data);
    put("signature", request.signature);
    put("type", request.type);
    put("session", request.session);
    put("target", request.target);
    if (request.depth != 1)
        object["depth"] = request.depth;
    put("property", request.property);
    put("value", request.value);
    put("verb", request.verb);
    if (request.force)
        object["force"] = true;
    if (!request.properties.empty())
        object["properties"] = array_of(request.properties);
    if (request.console_offset)
        object["console_offset"] = static_cast<std::int64_t>(*request.console_offset);
    if (request.resumed)
        object["resumed"] = true;
    if (request.may_wait)
        object["may_wait"] = true;
    return json::serialize(object);
}

Result<Request> decode_request(std::string_view text_in) {
    const auto object = parse_object(text_in);
    if (!object)
        return Fault{FaultKind::usage, "The request is not text in UTF-8."};
    Request request;
    request.id = number<std::int64_t>(*object, "id");
    request.op = text(*object, "op");
    request.version = number<int>(*object, "version");
    request.ticket = text(*object, "ticket");
    request.username = text(*object, "username");
    request.password = text(*object, "password");
    request.source = text(*object, "source");
    request.key = text(*object, "key");
    request.signed_data = text(*object, "signed_data");
    request.signature = text(*object, "signature");
    request.type = text(*object, "type");
    request.session = text(*object, "session");
    request.target = text(*object, "target");
    request.depth = std::clamp(number(*object, "depth", 1), 1, 255);
    request.property = text(*object, "property");
    request.value = text(*object, "value");
    request.verb = text(*object, "verb");
    request.force = flag(*object, "force");
    request.properties = pairs(list(*object, "properties"));
    if (const auto offset = number<std::int64_t>(*object, "console_offset", -1); offset >= 0)
        request.console_offset = static_cast<std::uint64_t>(offset);
    request.resumed = flag(*object, "resumed");
    request.may_wait = flag(*object, "may_wait");
    return request;
}

// -- replies

std::string encode_fault(std::int64_t id, const Fault& fault) {
    return json::serialize(json::object{
        {"id", id},
        {"fault", json::object{{"kind", kind_names[static_cast<std::size_t>(fault.kind)]},
                               {"message", valid_utf8(fault.message)}}}});
}

std::string encode_reply(std::int64_t id, const Hello& hello) {
    return reply_text(id, {{"version", protocol_version},
                           {"product", hello.product},
                           {"firmware", hello.version},
                           {"hostname", hello.hostname},
                           {"account", hello.account},
                           {"roles", hello.roles},
                           {"prompt", hello.prompt},
                           {"ticket", hello.ticket},
                           {"session", hello.session},
                           {"connect_message", hello.connect_message},
                           {"login_message", hello.login_message},
                           {"login_message_acceptance", hello.login_message_acceptance}});
}

std::string encode_reply(std::int64_t id, const TargetView& view) {
    return reply_text(id, to_json(view, one_arena()));
}

std::string encode_reply(std::int64_t id, const TargetDescription& description) {
    json::array verbs;
    for (const VerbDescription& verb : description.verbs)
        verbs.push_back(json::object{{"name", verb.name},
                                     {"doc", verb.doc},
                                     {"role", verb.role},
                                     {"question", verb.question},
                                     {"force_question", verb.force_question},
                                     {"properties", to_json(verb.properties)}});
    return reply_text(id, {{"path", description.path},
                           {"doc", description.doc},
                           {"properties", to_json(description.properties)},
                           {"verbs", std::move(verbs)},
                           {"targets", array_of(description.targets)}});
}

std::string encode_reply(std::int64_t id, const SetReply& reply) {
    return reply_text(id, {{"property", reply.property},
                           {"text", reply.text},
                           {"message", valid_utf8(reply.message)},
                           {"failed", reply.failed}});
}

std::string encode_reply(std::int64_t id, const RunReply& reply) {
    return reply_text(id, {{"message", valid_utf8(reply.message)},
                           {"waits_for", valid_utf8(reply.waits_for)},
                           {"stream", reply.stream},
                           {"escape", reply.escape}});
}

std::string encode_reply(std::int64_t id) { return reply_text(id, {}); }

Result<Hello> decode_hello(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    return Hello{text(*ok, "product"),
                 text(*ok, "firmware"),
                 text(*ok, "hostname"),
                 text(*ok, "account"),
                 text(*ok, "roles"),
                 text(*ok, "prompt"),
                 text(*ok, "ticket"),
                 text(*ok, "session"),
                 text(*ok, "connect_message"),
                 text(*ok, "login_message"),
                 flag(*ok, "login_message_acceptance")};
}

Result<TargetView> decode_view(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    return view_from(*ok, 255);
}

Result<TargetDescription> decode_description(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    TargetDescription description;
    description.path = text(*ok, "path");
    description.doc = text(*ok, "doc");
    description.properties = properties_from(list(*ok, "properties"));
    description.targets = pairs(list(*ok, "targets"));
    for (const json::value& value : list(*ok, "verbs"))
        if (const json::object* verb = value.if_object())
            description.verbs.push_back({text(*verb, "name"), text(*verb, "doc"),
                                         text(*verb, "role"), text(*verb, "question"),
                                         text(*verb, "force_question"),
                                         properties_from(list(*verb, "properties"))});
    return description;
}

Result<SetReply> decode_set(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    return SetReply{text(*ok, "property"), text(*ok, "text"), text(*ok, "message"),
                    flag(*ok, "failed")};
}

Result<RunReply> decode_run(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    RunReply reply;
    reply.message = text(*ok, "message");
    reply.waits_for = text(*ok, "waits_for");
    reply.stream = text(*ok, "stream");
    reply.escape = text(*ok, "escape");
    return reply;
}

Result<void> decode_done(std::string_view text_in) {
    const auto ok = accepted(text_in);
    if (!ok)
        return ok.fault();
    return {};
}

std::string value_json(const Value& value) {
    struct Visitor {
        json::value operator()(std::monostate) const { return nullptr; }
        json::value operator()(bool flag_value) const { return flag_value; }
        json::value operator()(std::int64_t number_value) const { return number_value; }
        json::value operator()(const std::string& text_value) const {
            return json::value(text_value);
        }
        json::value operator()(const std::vector<std::string>& items) const {
            return array_of(items);
        }
    };
    return json::serialize(std::visit(Visitor{}, value));
}

std::string valid_utf8(std::string_view bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size();) {
        const auto lead = static_cast<unsigned char>(bytes[i]);
        const std::size_t length = lead < 0x80                   ? 1
                                   : lead >= 0xc2 && lead < 0xe0 ? 2
                                   : lead >= 0xe0 && lead < 0xf0 ? 3
                                   : lead >= 0xf0 && lead < 0xf5 ? 4
                                                                 : 0;
        bool whole = length > 0 && i + length <= bytes.size();
        for (std::size_t k = 1; whole && k < length; ++k)
            whole = (static_cast<unsigned char>(bytes[i + k]) & 0xc0U) == 0x80U;
        // Overlong forms, surrogates and what lies beyond U+10FFFF.
        if (whole && length >= 3) {
            const auto second = static_cast<unsigned char>(bytes[i + 1]);
            whole = !((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) ||
                      (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second >= 0x90));
        }
        if (whole)
            out.append(bytes.substr(i, length));
        else
            out += "\xef\xbf\xbd";
        i += whole ? length : 1;
    }
    return out;
}

} // namespace lom::control
