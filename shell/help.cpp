// The verb `help`: everything it knows about targets comes from their descriptions.
#include "shell/interpreter.h"
#include "shell/text.h"

namespace lom::shell {

namespace {

std::string general_help() {
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
                      "\n"
                      "Commands are:\n";
    for (const VerbSpec& verb : verbs())
        out += std::string(verb.name) + "\n";
    return out;
}

std::string verb_help(const VerbSpec& verb, bool terse) {
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
        constexpr std::size_t name_width = 42;
        out += " " + padded(name, name_width) + " " + std::string(option->doc) + "\n";
    }
    return out;
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words)
        out += (out.empty() ? "" : ", ") + word;
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

constexpr std::string_view legal =
    "OpenLOM is free software under the GNU General Public License, version 3 or later.\n"
    "It comes with no warranty. The licence text is in the file LICENSE of its source.\n";

} // namespace

int Interpreter::help(const Command& command) {
    if (command.items.empty()) {
        terminal_.write(general_help());
        return status::done;
    }
    const std::string& word = command.items.front().name;
    if (const VerbSpec* verb = find_verb(word)) {
        terminal_.write(verb_help(*verb, command.options.output == Output::terse));
        return status::done;
    }
    if (word == "legal") {
        terminal_.write(legal);
        return status::done;
    }
    if (word != "targets")
        return help_target(command);

    const auto root = tree_.describe("/");
    if (!root)
        return complain("help", root.fault());
    std::string out;
    for (const auto& [name, doc] : root->targets) {
        out += "/" + name + " : " + doc + "\n";
        const auto below = tree_.describe("/" + name);
        if (!below)
            continue;
        for (const auto& [child, child_doc] : below->targets)
            out += "/" + name + "/" + child + " : " + child_doc + "\n";
    }
    terminal_.write(out);
    return status::done;
}

int Interpreter::help_target(const Command& command) {
    const auto place = locate(command);
    if (!place)
        return no_target("help", place.fault(), wanted_path(command));
    std::string properties;
    for (const control::PropertyDescription& property : place->description.properties) {
        bool wanted = place->rest.empty();
        for (const Item& item : place->rest)
            wanted |= same_name(item.name, property.name);
        if (wanted)
            properties += (properties.empty() ? "" : "\n") + property_help(property) +
                          (place->rest.empty() ? "" : value_help(property));
    }
    if (!place->rest.empty() && properties.empty())
        return no_property("help", place->rest.front().name, place->description.properties,
                           place->path);

    std::string out = "\n " + place->path + " : " + place->description.doc + "\n";
    if (place->rest.empty()) {
        out += "    Targets:\n";
        for (const auto& [name, doc] : place->description.targets)
            out += "        " + name + " : " + doc + "\n";
        out += "\n";
    }
    out += "    Properties:\n" + properties + "\n";
    if (place->rest.empty() && !place->description.verbs.empty()) {
        out += "    Commands:\n";
        for (const control::VerbDescription& verb : place->description.verbs)
            out += command_help(verb);
        out += "\n";
    }
    terminal_.write(out);
    return status::done;
}

} // namespace lom::shell
