// The verb `show`: what to fetch, what to leave out, which shape to print.
#include "shell/interpreter.h"
#include "shell/render.h"
#include "shell/text.h"

#include <algorithm>

namespace lom::shell {

namespace {

struct Wanted {
    std::vector<std::string> names; ///< of properties; empty: all
    std::vector<Item> filters;

    bool narrows() const { return !names.empty() || !filters.empty(); }
};

bool passes(const Item& filter, std::string_view text) {
    return std::any_of(filter.values.begin(), filter.values.end(),
                       [text](const auto& value) { return matches_pattern(text, value); });
}

bool passes_all(const Wanted& wanted, const control::TargetView& view) {
    return std::all_of(wanted.filters.begin(), wanted.filters.end(), [&view](const Item& filter) {
        return std::any_of(view.properties.begin(), view.properties.end(), [&](const auto& p) {
            return same_name(p.name, filter.name) && passes(filter, p.text);
        });
    });
}

// The named properties of `view`, in the order asked for.
std::vector<control::PropertyView> select(const std::vector<std::string>& names,
                                          const control::TargetView& view) {
    if (names.empty())
        return view.properties;
    std::vector<control::PropertyView> result;
    for (const std::string& name : names)
        for (const control::PropertyView& property : view.properties)
            if (same_name(property.name, name))
                result.push_back(property);
    return result;
}

void filter_rows(const Wanted& wanted, control::Table& table) {
    for (const Item& filter : wanted.filters)
        for (std::size_t column = 0; column < table.columns.size(); ++column)
            if (same_name(table.columns[column], filter.name))
                std::erase_if(table.rows, [&](const auto& row) {
                    return column >= row.size() || !passes(filter, row[column]);
                });
}

// The targets that match, with the wanted properties only, in the order of the walk.
void flatten(control::TargetView view, const Wanted& wanted,
             std::vector<control::TargetView>& matches) {
    std::vector<control::TargetView> below = std::move(view.targets);
    view.targets.clear();
    if (passes_all(wanted, view)) {
        view.properties = select(wanted.names, view);
        if (!view.properties.empty() || wanted.names.empty())
            matches.push_back(std::move(view));
    }
    for (control::TargetView& child : below)
        if (child.expanded)
            flatten(std::move(child), wanted, matches);
}

Sections sections_of(const Command& command, const Wanted& wanted) {
    const Options& options = command.options;
    Sections sections;
    sections.narrowed = !options.all_sections() || wanted.narrows();
    if (!options.all_sections()) {
        sections.targets = options.targets;
        sections.properties = options.properties;
        sections.commands = options.commands;
    }
    if (options.targets && options.properties && options.commands)
        sections.narrowed = wanted.narrows();
    if (wanted.narrows()) { // targets and commands would be those of a part
        sections.targets = false;
        sections.commands = false;
        sections.properties = true;
    }
    return sections;
}

std::string render(const Command& command, const Wanted& wanted, control::TargetView view,
                   std::size_t width) {
    const Sections sections = sections_of(command, wanted);
    if (!wanted.narrows()) {
        if (command.options.output == Output::json)
            return render_json(view, sections);
        if (command.options.output == Output::table)
            return view.table ? render_log(*view.table) : render_property_table(view);
        return "\n" + render_blocks(view, sections, width);
    }
    std::vector<control::TargetView> matches;
    flatten(std::move(view), wanted, matches);
    control::TargetView list; // of the matches, for the table
    list.targets = matches;
    if (command.options.output == Output::table)
        return render_property_table(list);
    if (command.options.output == Output::json) {
        if (!command.options.level && matches.size() == 1)
            return render_json(matches.front(), sections);
        std::string out = "[\n";
        for (const control::TargetView& match : matches)
            out += render_json(match, sections) + (&match == &matches.back() ? "" : ",");
        return out + "]\n";
    }
    std::string out = "\n";
    for (const control::TargetView& match : matches)
        out += render_blocks(match, sections, width);
    return out;
}

// The first wanted name that `view` (one target) does not have; empty: none.
std::string missing_name(const Wanted& wanted, const control::TargetView& view) {
    for (const std::string& name : wanted.names)
        if (std::none_of(view.properties.begin(), view.properties.end(),
                         [&](const auto& property) { return same_name(property.name, name); }))
            return name;
    return {};
}

} // namespace

int Interpreter::show(const Command& given) {
    Command command = given;
    // A word of ILOM's own for what is wrong with the machine.
    if (!command.items.empty() && command.items.front().name == "faulty") {
        command.items.front().name = "/SP/faultmgmt";
        command.options.output = Output::table;
        command.options.level = command.options.level.value_or(Tree::all_levels);
    }
    std::string path = current_;
    std::size_t next = 0;
    if (!command.items.empty() && command.items.front().kind == Item::Kind::word) {
        path = resolve_path(current_, command.items.front().name);
        next = 1;
    }
    auto view = tree_.show(path, command.options.level.value_or(1));
    if (!view && next == 1 && view.fault().kind == FaultKind::not_found) {
        const auto place = locate(command); // the word may be a property of the current target
        if (place && place->rest.size() == command.items.size()) {
            next = 0;
            view = tree_.show(current_, command.options.level.value_or(1));
        }
    }
    if (!view)
        return no_target("show", view.fault(), path);

    Wanted wanted;
    for (std::size_t i = next; i < command.items.size(); ++i) {
        if (command.items[i].kind == Item::Kind::filter)
            wanted.filters.push_back(command.items[i]);
        else
            wanted.names.push_back(command.items[i].name);
    }
    if (command.options.examine)
        return status::done;
    if (view->table) {
        filter_rows(wanted, *view->table);
        wanted = {};
    }
    if (!wanted.names.empty() || !wanted.filters.empty())
        view->text.reset(); // properties were asked for, not what the target has to say
    if (view->text && view->page_lines)
        terminal_.pause_every(
            static_cast<std::size_t>(std::max<std::int64_t>(*view->page_lines, 0)));
    const bool walks = command.options.level.value_or(1) > 1;
    const std::string missing = walks || view->text ? "" : missing_name(wanted, *view);
    std::vector<std::string> there;
    for (const control::PropertyView& property : view->properties)
        there.push_back(property.name);
    const std::size_t width = command.options.nowrap ? 0 : terminal_.width();
    if (missing.empty() || wanted.names.size() > 1)
        terminal_.write(render(command, wanted, std::move(*view), width));
    if (missing.empty())
        return status::done;
    return complain(
        "show",
        Fault{FaultKind::not_found, "No matching properties found: '" + printable(missing) + "'"},
        did_you_mean(missing, there));
}

} // namespace lom::shell
