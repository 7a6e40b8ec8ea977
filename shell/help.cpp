// The verb `help`: everything it knows about targets comes from their descriptions.
#include "shell/interpreter.h"
#include "shell/text.h"

#include <algorithm>

namespace lom::shell {

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words)
        out += (out.empty() ? "" : ", ") + word;
    return out;
}

// How much a screen of help says; the first that fits the terminal is shown.
enum class Detail { everything, a_line_each, names_of_targets, names };
constexpr Detail details[] = {Detail::everything, Detail::a_line_each, Detail::names_of_targets,
                              Detail::names};

struct Screen {
    std::size_t width = 0;
    std::size_t height = 0; ///< 0: whoever reads this is no person

    bool holds(const std::string& text) const {
        std::size_t rows = 2; // an empty line and the next prompt
        for (const std::string& line : folded(text, 0))
            rows +=
                width == 0 ? 1 : std::max<std::size_t>(columns(line) + width - 1, width) / width;
        return height == 0 || rows <= height + 1; // what follows the last line end is no row
    }
};

template <typename Render>
std::string fitting(const Screen& screen, const Render& render) {
    std::string text;
    for (const Detail detail : details)
        if (text = render(detail); screen.holds(text))
            break;
    return text;
}

// `    Targets: bootmode, console`, folded under its first name.
std::string name_list(const std::string& heading, const std::vector<std::string>& names,
                      std::size_t width) {
    const std::string start = "    " + heading + ": ";
    std::string out;
    for (const std::string& line :
         folded(joined(names), width > start.size() ? width - start.size() : 0))
        out += (out.empty() ? start : std::string(start.size(), ' ')) + line + "\n";
    return out;
}

std::string general_help(Detail detail, std::size_t width) {
    std::string out = "The help command is used to view information about commands and targets\n"
                      "\n"
                      "Usage: " +
                      std::string(spec_of(Verb::help).usage) +
                      "\n"
                      "\n"
                      "Special characters used in the help command are\n"
                      "[]   encloses optional keywords or options\n"
                      "<>   encloses a description of the keyword\n"
                      "     (If <> is not present, an actual keyword is indicated)\n"
                      "|    indicates a choice of keywords or options\n"
                      "\n"
                      "help targets  displays a list of targets\n"
                      "help legal    displays the product legal notice\n"
                      "\n";
    std::vector<std::string> names;
    for (const VerbSpec& verb : verbs())
        names.emplace_back(verb.name);
    if (detail != Detail::everything)
        return out + name_list("Commands are", names, width).substr(4);
    out += "Commands are:\n";
    for (const std::string& name : names)
        out += name + "\n";
    return out;
}

std::string verb_help(const VerbSpec& verb, bool terse, std::size_t width) {
    std::string out = std::string(verb.doc) + "\n\nUsage: " + std::string(verb.usage) + "\n";
    const auto options = options_of(verb.verb);
    if (terse || options.empty())
        return out;
    out += "\nOptions are:\n";
    for (const OptionSpec* option : options) {
        std::string name(option->name);
        if (!option->alias.empty())
            name += "|" + std::string(option->alias);
        if (!option->argument.empty())
            name += " " + std::string(option->argument);
        constexpr std::size_t name_width = 44;
        name = padded(" " + name, name_width);
        for (const std::string& line :
             folded(option->doc, width > name_width ? width - name_width - 1 : 0)) {
            out += name + " " + line + "\n";
            name.assign(name_width, ' ');
        }
    }
    return out;
}

std::string property_help(const control::PropertyDescription& property) {
    const std::string start = "        " + property.name + " : ";
    std::string out = start + property.doc + "\n";
    if (property.write_role.empty())
        return out;
    if (!property.values.empty())
        out += start + "Possible values = " + joined(property.values) + "\n";
    return out + start + "User role required for set = " + property.write_role + "\n";
}

std::string value_help(const control::PropertyDescription& property) {
    std::string out;
    for (std::size_t i = 0; i < std::min(property.values.size(), property.value_docs.size()); ++i)
        out += "            " + property.values[i] + " : " + property.value_docs[i] + "\n";
    return out;
}

std::string command_help(const control::VerbDescription& verb) {
    std::string out =
        "        " + verb.name + " : " + verb.doc + " User role required = " + verb.role + "\n";
    for (const control::PropertyDescription& property : verb.properties)
        out += "            " + property.name + (property.required ? " (required) : " : " : ") +
               property.doc + "\n";
    return out;
}

std::string targets_help(const std::vector<control::TargetDescription>& tops, Detail detail,
                         std::size_t width) {
    std::string out;
    for (const control::TargetDescription& top : tops) {
        const std::size_t limit = detail == Detail::everything ? 0 : width;
        out += clipped(top.path + " : " + top.doc, limit) + "\n";
        std::vector<std::string> names;
        for (const auto& [name, doc] : top.targets) {
            names.push_back(name);
            if (detail < Detail::names_of_targets)
                out += clipped(top.path + "/" + name + " : " + doc, limit) + "\n";
        }
        if (detail >= Detail::names_of_targets && !names.empty())
            out += name_list("Targets", names, width);
    }
    return out;
}

std::string head_of(const control::TargetDescription& target) {
    return "\n " + target.path + " : " + target.doc + "\n";
}

std::string properties_help(const control::TargetDescription& target) {
    std::string out = head_of(target) + "    Properties:\n";
    for (const control::PropertyDescription& property : target.properties)
        out += (&property == &target.properties.front() ? "" : "\n") + property_help(property) +
               value_help(property);
    return out + "\n";
}

std::string whole_target_help(const control::TargetDescription& target) {
    std::string out = head_of(target) + "    Targets:\n";
    for (const auto& [name, doc] : target.targets)
        out += "        " + name + " : " + doc + "\n";
    out += "\n    Properties:\n";
    for (const control::PropertyDescription& property : target.properties)
        out += (&property == &target.properties.front() ? "" : "\n") + property_help(property);
    out += "\n";
    if (target.verbs.empty())
        return out;
    out += "    Commands:\n";
    for (const control::VerbDescription& verb : target.verbs)
        out += command_help(verb);
    return out + "\n";
}

// Name and doc of each entry on a line, or the names alone.
template <typename Entries, typename NameOf, typename DocOf>
std::string section(const std::string& heading, const Entries& entries, bool lines,
                    std::size_t width, const NameOf& name_of, const DocOf& doc_of) {
    std::vector<std::string> names;
    std::string out = "    " + heading + ":\n";
    for (const auto& entry : entries) {
        names.push_back(name_of(entry));
        out += clipped("        " + names.back() + " : " + doc_of(entry), width) + "\n";
    }
    if (names.empty())
        return {};
    return lines ? out : name_list(heading, names, width);
}

std::string target_help(const control::TargetDescription& target, Detail detail,
                        std::size_t width) {
    if (detail == Detail::everything)
        return whole_target_help(target);
    const auto name_of = [](const auto& entry) { return entry.name; };
    const auto doc_of = [](const auto& entry) { return entry.doc; };
    return head_of(target) +
           section(
               "Targets", target.targets, detail < Detail::names_of_targets, width,
               [](const auto& entry) { return entry.first; },
               [](const auto& entry) { return entry.second; }) +
           section("Properties", target.properties, detail < Detail::names, width, name_of,
                   doc_of) +
           section("Commands", target.verbs, detail < Detail::names_of_targets, width, name_of,
                   doc_of) +
           clipped(" More: help " + target.path + " <property>, help -output verbose " +
                       target.path + ".",
                   width) +
           "\n";
}

bool has_person(const Command& command) {
    return !command.options.script && command.options.output != Output::verbose;
}

constexpr std::string_view legal =
    "OpenLOM is free software under the GNU General Public License, version 3 or later.\n"
    "It comes with no warranty. The licence text is in the file LICENSE of its source.\n";

} // namespace

int Interpreter::help(const Command& command) {
    const Screen screen{terminal_.width(), has_person(command) ? terminal_.height() : 0};
    if (command.items.empty()) {
        terminal_.write(
            fitting(screen, [&](Detail detail) { return general_help(detail, screen.width); }));
        return status::done;
    }
    const std::string& word = command.items.front().name;
    if (const VerbSpec* verb = find_verb(word)) {
        terminal_.write(verb_help(*verb, command.options.output == Output::terse, screen.width));
        return status::done;
    }
    if (word == "legal") {
        terminal_.write(legal);
        return status::done;
    }
    if (word != "targets")
        return help_target(command);

    std::vector<control::TargetDescription> tops;
    const auto root = tree_.describe("/");
    if (!root)
        return complain("help", root.fault());
    for (const auto& [name, doc] : root->targets)
        if (auto below = tree_.describe("/" + name))
            tops.push_back(std::move(*below));
    terminal_.write(
        fitting(screen, [&](Detail detail) { return targets_help(tops, detail, screen.width); }));
    return status::done;
}

int Interpreter::help_target(const Command& command) {
    auto place = locate(command);
    if (!place)
        return no_target("help", place.fault(), wanted_path(command));
    const auto all = place->description.properties;
    std::erase_if(place->description.properties, [&](const auto& property) {
        return !place->rest.empty() &&
               std::none_of(place->rest.begin(), place->rest.end(),
                            [&](const Item& item) { return same_name(item.name, property.name); });
    });
    const bool whole = place->rest.empty();
    if (!whole && place->description.properties.empty())
        return no_property("help", place->rest.front().name, all, place->path);
    const Screen screen{terminal_.width(), has_person(command) ? terminal_.height() : 0};
    terminal_.write(fitting(screen, [&](Detail detail) {
        return whole ? target_help(place->description, detail, screen.width)
                     : properties_help(place->description);
    }));
    return status::done;
}

} // namespace lom::shell
