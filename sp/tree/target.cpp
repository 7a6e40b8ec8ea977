#include "sp/tree/target.h"

#include <algorithm>

namespace lom {

Target& Target::add(Property property) {
    properties_.push_back(std::move(property));
    return *this;
}

Target& Target::verb(Verb verb) {
    verbs_.push_back(std::move(verb));
    return *this;
}

Target& Target::child(Ptr target) {
    std::string name = target->name();
    return link(std::move(name), std::move(target));
}

Target& Target::link(std::string name, Ptr target) {
    children_.emplace_back(std::move(name), std::move(target));
    return *this;
}

Target& Target::dynamic_children(std::function<std::vector<Ptr>()> children) {
    dynamic_ = std::move(children);
    return *this;
}

Target& Target::note(Note note) {
    note_ = std::move(note);
    return *this;
}

Target& Target::table(std::function<LogTable()> table) {
    table_ = std::move(table);
    return *this;
}

Target& Target::refresh(Refresh refresh) {
    refresh_ = std::move(refresh);
    return *this;
}

Target& Target::text(std::function<Result<std::string>()> text,
                     std::function<std::int64_t()> page_lines) {
    text_ = std::move(text);
    page_lines_ = std::move(page_lines);
    return *this;
}

const Property* Target::find_property(std::string_view name) const {
    const auto found = std::find_if(properties_.begin(), properties_.end(), [&](const Property& p) {
        return equal_ignoring_case(p.name, name);
    });
    return found == properties_.end() ? nullptr : &*found;
}

const Verb* Target::find_verb(std::string_view name) const {
    const auto found =
        std::find_if(verbs_.begin(), verbs_.end(), [&](const Verb& v) { return v.name == name; });
    return found == verbs_.end() ? nullptr : &*found;
}

std::vector<std::pair<std::string, Target::Ptr>> Target::children() const {
    auto all = children_;
    if (dynamic_)
        for (Ptr& target : dynamic_())
            all.emplace_back(target->name(), target);
    return all;
}

std::vector<std::string> Target::commands() const {
    std::vector<std::string> names{"cd", "show"};
    if (std::any_of(properties_.begin(), properties_.end(),
                    [](const Property& property) { return property.writable(); }))
        names.emplace_back("set");
    for (const Verb& verb : verbs_)
        if (verb.listed)
            names.push_back(verb.name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace lom
