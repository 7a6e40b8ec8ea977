#include "sp/tree/tree.h"

namespace lom {

namespace {

std::vector<std::string_view> parts_of(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        if (slash > 0)
            parts.push_back(path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return parts;
}

Fault invalid_target(std::string_view path) {
    return {FaultKind::not_found, "Invalid target " + std::string(path)};
}

std::string printed(const Property& property, const Value& value) {
    return property.secret ? "*****" : property.type->print(value);
}

Result<Value> parsed(const Property& property, std::string_view text) {
    auto value = property.type->parse(text);
    if (!value)
        return Fault{value.fault().kind,
                     "Invalid value for '" + property.name + "'. " + value.fault().message};
    return value;
}

/// create's properties: known, parsed, and none of the required ones missing.
Result<std::vector<std::pair<std::string, Value>>>
parse_properties(const Verb& verb, const std::vector<std::pair<std::string, std::string>>& texts) {
    std::vector<std::pair<std::string, Value>> values;
    for (const auto& [name, text] : texts) {
        const Property* known = nullptr;
        for (const Property& property : verb.takes)
            if (equal_ignoring_case(property.name, name))
                known = &property;
        if (known == nullptr)
            return Fault{FaultKind::not_found, "No matching properties found: '" + name + "'."};
        auto value = parsed(*known, text);
        if (!value)
            return value.fault();
        values.emplace_back(known->name, std::move(*value));
    }
    for (const Property& property : verb.takes) {
        bool given = !property.required;
        for (const auto& [name, value] : values)
            given = given || name == property.name;
        if (!given)
            return Fault{FaultKind::usage, "The property '" + property.name + "' is required."};
    }
    return values;
}

} // namespace

std::string display_text(const Property& property) {
    if (!property.readable)
        return "(Cannot show property)";
    return display_text(property, property.get());
}

std::string display_text(const Property& property, const Value& value) {
    if (std::holds_alternative<std::monostate>(value))
        return "(none)";
    const std::string text = property.type->print(value);
    if (text.empty())
        return "(none)";
    return property.secret ? "*****" : text;
}

Result<void> require_role(const Caller& caller, Roles needed) {
    if (caller.roles.intersects(needed))
        return {};
    return Fault{FaultKind::denied, "Permission denied: this needs the role " + needed.letters() +
                                        "; the account " + caller.account + " has " +
                                        caller.roles.letters() + "."};
}

Result<Found> Tree::find(std::string_view path) const {
    std::vector<Found> walk{{root_, nullptr, ""}};
    for (const std::string_view part : parts_of(path)) {
        if (part == ".")
            continue;
        if (part == "..") {
            if (walk.size() > 1)
                walk.pop_back();
            continue;
        }
        const Found& here = walk.back();
        Found next;
        for (const auto& [name, target] : here.target->children())
            if (equal_ignoring_case(name, part))
                next = {target, here.target, here.path + "/" + name};
        if (!next.target)
            return invalid_target(path);
        walk.push_back(std::move(next));
    }
    Found found = std::move(walk.back());
    if (found.path.empty())
        found.path = "/";
    return found;
}

void Tree::set(const Caller& caller, std::string_view path, std::string_view name,
               std::string_view text, SetDone done) const {
    const auto found = find(path);
    if (!found)
        return done(found.fault());
    const Property* property = found->target->find_property(name);
    if (property == nullptr)
        return done(Fault{FaultKind::not_found, "No matching properties found: '" +
                                                    std::string(name) + "' is not a property of " +
                                                    found->path + "."});
    AuditRecord record{caller, "", false, ""};
    record.deed = "set " + found->path + " " + property->name + "=" +
                  (property->secret ? "*****" : "'" + std::string(text) + "'");
    const auto refuse = [&](const Fault& fault) {
        record.reason = fault.message;
        audit_(record);
        done(fault);
    };
    if (!property->writable())
        return refuse(
            {FaultKind::wrong_state, "The property '" + property->name + "' is read-only."});
    if (!(property->also_allowed && property->also_allowed(caller)))
        if (const auto allowed = require_role(caller, property->write); !allowed)
            return refuse(allowed.fault());
    const auto value = parsed(*property, text);
    if (!value)
        return refuse(value.fault());
    SetAnswer answer{property->name, printed(*property, *value), ""};
    record.target = found->path;
    record.property = property->name;
    record.text = answer.text;
    // The target may vanish while a slow setter works: it is kept alive here.
    property->set(caller, *value,
                  [keep = found->target, audit = audit_, record = std::move(record),
                   answer = std::move(answer), done](Result<SetOutcome> outcome) mutable {
                      record.done = static_cast<bool>(outcome);
                      if (!outcome)
                          record.reason = outcome.fault().message;
                      audit(record);
                      if (!outcome)
                          return done(outcome.fault());
                      answer.message = std::move(outcome->message);
                      answer.failed = outcome->failed;
                      done(std::move(answer));
                  });
}

void Tree::run(VerbCall call, std::string_view path, std::string_view name,
               const std::vector<std::pair<std::string, std::string>>& texts,
               Verb::Done done) const {
    // create names a target that does not exist yet: its container has the verb.
    std::string_view place = path;
    if (name == "create") {
        while (place.size() > 1 && place.back() == '/')
            place.remove_suffix(1);
        const std::size_t slash = place.rfind('/');
        call.new_name = std::string(place.substr(slash == std::string_view::npos ? 0 : slash + 1));
        if (find(path))
            return done(Fault{FaultKind::wrong_state, std::string(path) + " exists already."});
        place = place.substr(0, slash == std::string_view::npos ? 0 : slash);
    }
    const auto found = find(place);
    if (!found)
        return done(invalid_target(path));
    const Verb* verb = found->target->find_verb(name);
    if (verb == nullptr)
        return done(Fault{FaultKind::not_found, "The command " + std::string(name) +
                                                    " is not supported on " + std::string(path) +
                                                    "."});
    const std::string full = name == "create"
                                 ? (found->path == "/" ? "" : found->path) + "/" + call.new_name
                                 : found->path;
    AuditRecord record{call.caller, verb->name + (call.force ? " -force " : " ") + full, false, ""};
    record.target = full;
    const auto refuse = [&](const Fault& fault) {
        record.reason = fault.message;
        audit_(record);
        done(fault);
    };
    const bool own = verb->also_allowed && verb->also_allowed(call.caller);
    if (const auto allowed = require_role(call.caller, verb->role); !allowed && !own)
        return refuse(allowed.fault());
    auto values = parse_properties(*verb, texts);
    if (!values)
        return refuse(values.fault());
    call.properties = std::move(*values);
    const bool quiet = call.resumed; // the same console session as before: already on record
    verb->run(std::move(call), full,
              [keep = found->target, audit = audit_, record = std::move(record), quiet,
               done](Result<VerbOutcome> outcome) mutable {
                  record.done = static_cast<bool>(outcome);
                  if (!outcome)
                      record.reason = outcome.fault().message;
                  if (!quiet && (!outcome || outcome->waits_for.empty()))
                      audit(record);
                  done(std::move(outcome));
              });
}

} // namespace lom
