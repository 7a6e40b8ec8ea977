#include "web/redfish/resource.h"

#include <array>
#include <ctime>

namespace lom::web {

// -- scope

const control::TargetView* Scope::view(const std::string& target) const {
    const auto found = views.find(filled_in(target, ids));
    return found == views.end() ? nullptr : &found->second;
}

namespace {

const control::PropertyView* find(const Scope& scope, const std::string& target,
                                  const std::string& property) {
    const control::TargetView* view = scope.view(target);
    if (view != nullptr)
        for (const control::PropertyView& shown : view->properties)
            if (shown.name == property)
                return &shown;
    return nullptr;
}

} // namespace

bool Scope::has(const std::string& target, const std::string& property) const {
    return find(*this, target, property) != nullptr;
}

std::string Scope::text(const std::string& target, const std::string& property) const {
    const auto* shown = find(*this, target, property);
    return shown == nullptr || shown->text == "(none)" ? "" : shown->text;
}

json::value Scope::value(const std::string& target, const std::string& property) const {
    const auto* shown = find(*this, target, property);
    return shown == nullptr ? json::value() : fragment(shown->json);
}

std::int64_t Scope::number(const std::string& target, const std::string& property) const {
    boost::system::error_code error;
    const auto number = value(target, property).to_number<std::int64_t>(error);
    return error ? 0 : number;
}

// -- declaring

Resource& Resource::shows(std::string target, int depth) {
    shown_.push_back({std::move(target), depth, false});
    return *this;
}

Resource& Resource::may_show(std::string target, int depth) {
    shown_.push_back({std::move(target), depth, true});
    return *this;
}

Resource& Resource::constant(std::string at, json::value value) {
    return computed(std::move(at), [value = std::move(value)](const Scope&) { return value; });
}

Resource& Resource::link(std::string at, std::string uri) {
    return computed(std::move(at), [uri = std::move(uri)](const Scope& scope) {
        return json::value(link_to(filled_in(uri, scope.ids)));
    });
}

Resource& Resource::computed(std::string at, Field::Read read) {
    fields_.push_back({.at = std::move(at), .read = std::move(read)});
    return *this;
}

Resource& Resource::changing(std::string at, Field::Read read) {
    fields_.push_back({.at = std::move(at), .read = std::move(read), .changes_often = true});
    return *this;
}

Resource& Resource::text(std::string at, std::string target, std::string property, bool writable) {
    Field field{
        .at = std::move(at),
        .read = [target, property, writable](const Scope& scope) -> std::optional<json::value> {
            std::string text = scope.text(target, property);
            // What is empty and stays so is left out, as the specification advises.
            if (!scope.has(target, property) || (text.empty() && !writable))
                return std::nullopt;
            return json::value(std::move(text));
        }};
    if (writable) {
        field.target = std::move(target);
        field.property = std::move(property);
        field.convert = [](const json::value& value) -> Result<std::string> {
            return std::string(value.get_string());
        };
    }
    fields_.push_back(std::move(field));
    return *this;
}

Resource& Resource::number(std::string at, std::string target, std::string property,
                           bool writable) {
    Field field{.at = std::move(at),
                .read =
                    [target, property](const Scope& scope) {
                        return scope.has(target, property)
                                   ? std::optional(json::value(scope.number(target, property)))
                                   : std::nullopt;
                    },
                .kind = json::kind::int64};
    if (writable) {
        field.target = std::move(target);
        field.property = std::move(property);
        field.convert = [](const json::value& value) -> Result<std::string> {
            return json::serialize(value);
        };
    }
    fields_.push_back(std::move(field));
    return *this;
}

Resource& Resource::words(std::string at, std::string target, std::string property, Words words,
                          bool writable) {
    Field field{
        .at = std::move(at),
        .read = [target, property, words](const Scope& scope) -> std::optional<json::value> {
            const std::string text = scope.text(target, property);
            for (const auto& [theirs, ours] : words)
                if (ours == text)
                    return json::value(theirs);
            return std::nullopt;
        }};
    if (writable) {
        field.target = std::move(target);
        field.property = std::move(property);
        for (const auto& [theirs, ours] : words)
            field.allowed.push_back(theirs);
        field.convert = [words](const json::value& value) -> Result<std::string> {
            for (const auto& [theirs, ours] : words)
                if (theirs == value.get_string())
                    return ours;
            return Fault{FaultKind::invalid_value, "It is not one of the allowed values."};
        };
    }
    fields_.push_back(std::move(field));
    return *this;
}

Resource& Resource::field(Field field) {
    fields_.push_back(std::move(field));
    return *this;
}

Resource& Resource::action(Action action) {
    actions_.push_back(std::move(action));
    return *this;
}

Resource& Resource::members(Links links) {
    links_ = std::move(links);
    return *this;
}

Resource& Resource::inline_members(std::function<std::vector<json::object>(const Scope&)> members) {
    inline_members_ = std::move(members);
    return *this;
}

Resource& Resource::creates(Create create) {
    create_ = std::move(create);
    return *this;
}

Resource& Resource::deletes(Delete remove) {
    remove_ = std::move(remove);
    return *this;
}

Resource& Resource::open_to_all() {
    open_ = true;
    return *this;
}

Resource& Resource::body(std::function<json::object(const Scope&)> body) {
    body_ = std::move(body);
    return *this;
}

// -- reading the declaration

bool Resource::can_patch() const {
    for (const Field& field : fields_)
        if (field.writable())
            return true;
    return false;
}

std::string Resource::allow() const {
    std::string methods = "GET, HEAD";
    if (can_patch())
        methods += ", PATCH";
    if (create_)
        methods += ", POST";
    if (remove_)
        methods += ", DELETE";
    return methods;
}

bool Resource::match(const std::string& uri, std::vector<std::string>& ids) const {
    ids.clear();
    std::size_t at = 0;
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
        if (pattern_.compare(i, 2, "{}") != 0) {
            if (at >= uri.size() || uri[at++] != pattern_[i])
                return false;
            continue;
        }
        const std::size_t end = std::min(uri.find('/', at), uri.size());
        if (end == at)
            return false;
        ids.push_back(uri.substr(at, end - at));
        at = end;
        ++i;
    }
    return at == uri.size();
}

// -- helpers of the declarations

std::string filled_in(const std::string& text, const std::vector<std::string>& ids) {
    std::string whole;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool place = text[i] == '{' && i + 2 < text.size() && text[i + 2] == '}';
        const std::size_t number = place ? static_cast<std::size_t>(text[i + 1] - '0') : 99;
        if (number < ids.size()) {
            whole += ids[number];
            i += 2;
        } else {
            whole += text[i];
        }
    }
    return whole;
}

json::object link_to(const std::string& uri) { return {{"@odata.id", uri}}; }

Response no_content() {
    Response response;
    response.status = 204;
    return response;
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

namespace {

std::string iso_text(std::time_t seconds) {
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S+00:00", &parts);
    return text.data();
}

} // namespace

std::string iso_time(const std::string& clock_text) {
    std::tm parts{};
    if (strptime(clock_text.c_str(), "%a %b %d %H:%M:%S %Y", &parts) == nullptr)
        return "";
    parts.tm_isdst = -1;
    return iso_text(mktime(&parts));
}

std::string iso_now() { return iso_text(time(nullptr)); }

Task<Result<void>> set_in_tree(Scope& scope, std::string target, std::string property,
                               std::string text) {
    const auto reply = co_await scope.session->set(filled_in(target, scope.ids), property, text);
    co_return reply ? Result<void>() : Result<void>(reply.fault());
}

Task<Result<void>> run_in_tree(Scope& scope, std::string target, std::string verb, bool force) {
    control::RunRequest request;
    request.target = filled_in(target, scope.ids);
    request.verb = std::move(verb);
    request.force = force;
    const auto reply = co_await scope.session->run(std::move(request));
    co_return reply ? Result<void>() : Result<void>(reply.fault());
}

} // namespace lom::web
