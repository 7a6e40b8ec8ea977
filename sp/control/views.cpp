#include "sp/control/views.h"

#include "sp/control/wire.h"

namespace lom::control {

namespace {

PropertyView view_property(const Property& property) {
    if (!property.readable || property.secret)
        return {property.name, valid_utf8(display_text(property)), "null"};
    const Value value = property.get(); // once: it may ask the database
    return {property.name, valid_utf8(display_text(property, value)), value_json(value)};
}

Result<TargetView> view_target(const Target& target, const Caller& caller, const std::string& path,
                               const std::string& name, int depth) {
    TargetView view;
    view.path = path;
    view.name = name;
    view.expanded = true;
    view.commands = target.commands();
    for (const Property& property : target.properties())
        view.properties.push_back(view_property(property));
    for (const auto& [child_name, child] : target.children()) {
        const std::string child_path = (path == "/" ? "" : path) + "/" + child_name;
        // Texts and tables are for whoever asks for that very target, not for a walk over all.
        if (depth > 1 && !child->text() && !child->table()) {
            auto expanded = view_target(*child, caller, child_path, child_name, depth - 1);
            if (!expanded)
                return expanded;
            view.targets.push_back(std::move(*expanded));
        } else {
            TargetView listed;
            listed.path = child_path;
            listed.name = child_name;
            view.targets.push_back(std::move(listed));
        }
        if (child->note())
            view.targets.back().note = child->note()(caller);
    }
    return view;
}

PropertyDescription describe_property(const Property& property) {
    return {property.name,
            property.doc,
            property.type->name,
            property.type->values,
            property.write.letters(),
            property.readable,
            property.secret,
            property.required,
            property.question,
            property.type->value_docs};
}

VerbDescription describe_verb(const Verb& verb, const std::string& path) {
    VerbDescription description{verb.name, verb.doc, verb.role.letters(), "", "", {}};
    if (verb.asks) {
        description.question = "Are you sure you want to " + verb.name + " " + path;
        description.force_question = verb.name == "stop"
                                         ? "Are you sure you want to immediately stop " + path
                                         : description.question;
    }
    for (const Property& property : verb.takes)
        description.properties.push_back(describe_property(property));
    return description;
}

} // namespace

Result<TargetView> view_of(const Tree& tree, const Caller& caller, const std::string& path,
                           int depth) {
    const auto found = tree.find(path);
    if (!found)
        return found.fault();
    const std::string name = found->path.substr(found->path.rfind('/') + 1);
    auto view = view_target(*found->target, caller, found->path, name, depth);
    if (!view)
        return view;
    if (const auto& text = found->target->text()) {
        const auto content = text();
        if (!content)
            return content.fault();
        view->text = valid_utf8(*content);
        if (const auto& page = found->target->page_lines())
            view->page_lines = page();
    }
    if (const auto& table = found->target->table()) {
        LogTable content = table();
        view->table =
            Table{content.title, content.columns, content.widths, std::move(content.rows)};
        for (auto& row : view->table->rows)
            for (std::string& cell : row)
                cell = valid_utf8(cell);
    }
    return view;
}

Result<TargetDescription> describe_target(const Tree& tree, const std::string& path) {
    const auto found = tree.find(path);
    if (!found)
        return found.fault();
    TargetDescription description;
    description.path = found->path;
    description.doc = found->target->doc();
    for (const Property& property : found->target->properties())
        description.properties.push_back(describe_property(property));
    for (const Verb& verb : found->target->verbs())
        if (verb.listed)
            description.verbs.push_back(describe_verb(verb, found->path));
    for (const auto& [name, child] : found->target->children())
        description.targets.emplace_back(name, child->doc());
    return description;
}

} // namespace lom::control
