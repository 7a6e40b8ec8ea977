#include "shell/grammar.h"

#include "shell/text.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace lom::shell {

namespace {

constexpr VerbSpec verb_table[] = {
    {Verb::cd, "cd", "cd [-default] [<target>]", "Changes the current target."},
    {Verb::create, "create", "create <target> [<property>=<value>]...",
     "Makes a new object: an account, a disk."},
    {Verb::remove, "delete", "delete [-script] <target>", "Removes an object."},
    {Verb::dump, "dump", "dump -destination <URI> [-force] [<target>]",
     "Sends a target's file to a URI."},
    {Verb::exit, "exit", "exit", "Ends the session."},
    {Verb::help, "help",
     "help [-format wrap|nowrap] [-output terse|verbose]\n"
     "            [<command>|<target> [<property>]|targets|legal]",
     "Explains commands, targets and properties."},
    {Verb::load, "load", "load [-script] [-force] [-output verbose] -source <URI> [<target>]",
     "Fetches a target's file from a URI."},
    {Verb::reset, "reset", "reset [-script] [-force] [<target>]",
     "Resets a host or the service processor."},
    {Verb::set, "set", "set [-script] [<target>] <property>=<value> [<property>=<value>]...",
     "Changes properties, from left to right."},
    {Verb::show, "show",
     "show [-display targets|properties|commands|all] [-level 1..255|all]\n"
     "            [-output table|json] [-format wrap|nowrap] [-script]\n"
     "            [<target>] [<property>]... [<property>==<value>]...",
     "Shows targets, their properties and commands."},
    {Verb::start, "start", "start [-script] [-force] [<target>]",
     "Powers a host on, or opens its console."},
    {Verb::stop, "stop", "stop [-script] [-force] [<target>]",
     "Powers a host off, or ends its console sessions."},
    {Verb::version, "version", "version", "Shows the version of the service processor."},
};

constexpr OptionSpec option_table[] = {
    {"-script", "", "", "*", "Asks nothing (every answer is yes) and never pauses the output."},
    {"-force", "-f", "", "delete dump load reset set start stop",
     "At once, or past a check; on a console: takes the right to type."},
    {"-display", "-d", "targets|properties|commands|all", "show",
     "Only these sections; several with commas."},
    {"-a", "", "", "show", "All sections."},
    {"-level", "-l", "1|2|3|all", "show", "How many levels of targets, 1 to 255."},
    {"-output", "-o", "table|json|terse|verbose", "show", "Form of the output."},
    {"-output", "-o", "terse|verbose", "help load version", "How much is said."},
    {"-t", "", "", "show", "Short for -level all -output table."},
    {"-format", "", "wrap|nowrap", "show help", "Whether long values are folded."},
    {"-source", "", "<URI>", "load", "Where the file comes from."},
    {"-destination", "", "<URI>", "dump", "Where the file goes to."},
    {"-default", "", "", "cd", "The target where the session began."},
    {"-examine", "-x", "", "*", "Checks the command and does nothing."},
    {"-help", "-h", "", "*", "Explains the command."},
};

struct ChoiceDoc {
    std::string_view option;
    std::string_view choice;
    std::string_view doc;
};

constexpr ChoiceDoc choice_table[] = {
    {"-display", "targets", "The names of what is below."},
    {"-display", "properties", "Names and values."},
    {"-display", "commands", "What can be done here."},
    {"-display", "all", "All three, as without the option."},
    {"-level", "1", "The target itself."},
    {"-level", "2", "It and the targets below."},
    {"-level", "3", "One level more; any number to 255."},
    {"-level", "all", "Everything below."},
    {"-output", "table", "Target, property and value in columns."},
    {"-output", "json", "Names and values for programs."},
    {"-output", "terse", "Only what was asked for."},
    {"-output", "verbose", "All there is to say."},
    {"-format", "wrap", "Long values are folded at the screen's edge."},
    {"-format", "nowrap", "One line for each value."},
};

bool takes(const OptionSpec& option, std::string_view verb) {
    if (option.verbs == "*")
        return verb != "exit";
    for (std::string_view list = option.verbs; !list.empty();) {
        const std::size_t space = std::min(list.find(' '), list.size());
        if (list.substr(0, space) == verb)
            return true;
        list.remove_prefix(std::min(space + 1, list.size()));
    }
    return false;
}

// What is echoed of a wrong word: enough to recognise it, never a screenful.
std::string echoed(std::string_view word) {
    constexpr std::size_t longest = 80;
    return printable(word.size() > longest ? std::string(word.substr(0, longest)) + "..." : word);
}

Fault usage_fault(const VerbSpec& verb, const std::string& what, const std::string& hint = "") {
    return Fault{FaultKind::usage, std::string(verb.name) + ": " + what + "\n" +
                                       (hint.empty() ? "" : hint + "\n") +
                                       "Usage: " + std::string(verb.usage)};
}

Result<void> set_display(Options& options, std::string_view argument) {
    while (true) {
        const std::size_t comma = argument.find(',');
        const std::string_view word = argument.substr(0, comma);
        const bool all = same_name(word, "all");
        const bool targets = same_name(word, "targets");
        const bool properties = same_name(word, "properties");
        const bool commands = same_name(word, "commands");
        if (!all && !targets && !properties && !commands)
            return Fault{FaultKind::usage, ""};
        options.targets |= all || targets;
        options.properties |= all || properties;
        options.commands |= all || commands;
        if (comma == std::string_view::npos)
            return {};
        argument.remove_prefix(comma + 1);
    }
}

Result<void> set_level(Options& options, std::string_view argument) {
    constexpr int deepest = 255;
    if (same_name(argument, "all")) {
        options.level = deepest;
        return {};
    }
    int level = 0;
    const auto [end, error] =
        std::from_chars(argument.data(), argument.data() + argument.size(), level);
    if (error != std::errc() || end != argument.data() + argument.size() || level < 1 ||
        level > deepest)
        return Fault{FaultKind::usage, ""};
    options.level = level;
    return {};
}

Result<void> set_output(Options& options, Verb verb, std::string_view argument) {
    constexpr std::array<std::pair<std::string_view, Output>, 4> words{{
        {"table", Output::table},
        {"json", Output::json},
        {"terse", Output::terse},
        {"verbose", Output::verbose},
    }};
    for (const auto& [word, output] : words) {
        const bool for_show = output == Output::table || output == Output::json;
        if (same_name(argument, word) && (verb == Verb::show || !for_show)) {
            options.output = output;
            return {};
        }
    }
    return Fault{FaultKind::usage, ""};
}

Result<void> set_format(Options& options, std::string_view argument) {
    if (!same_name(argument, "wrap") && !same_name(argument, "nowrap"))
        return Fault{FaultKind::usage, ""};
    options.nowrap = same_name(argument, "nowrap");
    return {};
}

Result<void> apply_option(Options& options, Verb verb, const OptionSpec& spec,
                          const std::string& argument) {
    if (spec.name == "-script")
        options.script = true;
    else if (spec.name == "-force")
        options.force = true;
    else if (spec.name == "-display")
        return set_display(options, argument);
    else if (spec.name == "-a")
        return set_display(options, "all");
    else if (spec.name == "-level")
        return set_level(options, argument);
    else if (spec.name == "-output")
        return set_output(options, verb, argument);
    else if (spec.name == "-t")
        options.output = Output::table;
    else if (spec.name == "-format")
        return set_format(options, argument);
    else if (spec.name == "-source")
        options.source = argument;
    else if (spec.name == "-destination")
        options.destination = argument;
    else if (spec.name == "-default")
        options.initial_target = true;
    else if (spec.name == "-examine")
        options.examine = true;
    else
        options.help = true;
    return {};
}

std::vector<std::string> split_list(std::string_view list) {
    std::vector<std::string> parts;
    while (true) {
        const std::size_t comma = list.find(',');
        parts.emplace_back(list.substr(0, comma));
        if (comma == std::string_view::npos)
            return parts;
        list.remove_prefix(comma + 1);
    }
}

Result<Item> item_of(const VerbSpec& verb, const Token& token) {
    if (token.equals == std::string::npos)
        return Item{Item::Kind::word, token.text, {}, {}};
    const std::string name = token.text.substr(0, token.equals);
    std::string value = token.text.substr(token.equals + 1);
    const bool filter = !value.empty() && value.front() == '=' && verb.verb == Verb::show;
    if (verb.verb == Verb::show && (!filter || name.empty()))
        return Fault{FaultKind::usage, "show: Unexpected filter type\nA filter is "
                                       "<property>==<value> or <property>==(<value>,<value>)."};
    if (name.empty())
        return usage_fault(verb, "Invalid command syntax: '" + echoed(token.text) +
                                     "' names no property");
    if (!filter)
        return Item{Item::Kind::assignment, name, std::move(value), {}};
    value.erase(0, 1);
    const bool opens = !value.empty() && value.front() == '(';
    const bool closes = !value.empty() && value.back() == ')';
    if (value.empty() || opens != closes || (opens && value.size() == 1))
        return Fault{FaultKind::usage,
                     "show: Unexpected filter type\nA filter is <property>==<value> or "
                     "<property>==(<value>,<value>)."};
    if (!opens)
        return Item{Item::Kind::filter, name, {}, {value}};
    return Item{Item::Kind::filter, name, {}, split_list(value.substr(1, value.size() - 2))};
}

std::vector<std::string> option_names(Verb verb) {
    std::vector<std::string> names;
    for (const OptionSpec* option : options_of(verb))
        names.emplace_back(option->name);
    return names;
}

// Takes the option at tokens[index], and its argument behind it.
Result<void> take_option(Command& command, const VerbSpec& verb, const std::vector<Token>& tokens,
                         std::size_t& index) {
    const std::string& typed = tokens[index].text;
    const OptionSpec* spec = find_option(verb.verb, typed);
    if (!spec)
        return usage_fault(verb, "Invalid option " + echoed(typed),
                           did_you_mean(typed, option_names(verb.verb)));
    std::string argument;
    if (!spec->argument.empty()) {
        if (index + 1 == tokens.size())
            return usage_fault(verb, "Option " + std::string(spec->name) + " needs " +
                                         std::string(spec->argument));
        argument = tokens[++index].text;
    }
    if (!apply_option(command.options, verb.verb, *spec, argument))
        return usage_fault(
            verb, "Invalid value '" + echoed(argument) + "' of option " + std::string(spec->name),
            did_you_mean(argument, choices_of(*spec)));
    if (spec->name == "-t" && !command.options.level)
        command.options.level = 255;
    return {};
}

std::vector<std::string> verb_names() {
    std::vector<std::string> names;
    for (const VerbSpec& spec : verb_table)
        names.emplace_back(spec.name);
    return names;
}

Fault unknown_verb(const std::string& word) {
    const std::string text =
        "Invalid command '" + echoed(word) + "' - type help for a list of commands.";
    const std::string hint = did_you_mean(word, verb_names());
    return Fault{FaultKind::usage, hint.empty() ? text : text + "\n" + hint};
}

Result<void> check_required(const Command& command, const VerbSpec& verb) {
    if (command.options.help)
        return {};
    if (verb.verb == Verb::load && command.options.source.empty())
        return usage_fault(verb, "Option -source is missing");
    if (verb.verb == Verb::dump && command.options.destination.empty())
        return usage_fault(verb, "Option -destination is missing");
    return {};
}

} // namespace

std::span<const VerbSpec> verbs() { return verb_table; }

const VerbSpec& spec_of(Verb verb) {
    return *std::find_if(std::begin(verb_table), std::end(verb_table),
                         [verb](const VerbSpec& spec) { return spec.verb == verb; });
}

const VerbSpec* find_verb(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(verb_table), std::end(verb_table),
                     [name](const VerbSpec& spec) { return same_name(spec.name, name); });
    return found == std::end(verb_table) ? nullptr : found;
}

std::vector<const OptionSpec*> options_of(Verb verb) {
    std::vector<const OptionSpec*> result;
    for (const OptionSpec& option : option_table)
        if (takes(option, spec_of(verb).name))
            result.push_back(&option);
    return result;
}

const OptionSpec* find_option(Verb verb, std::string_view typed) {
    for (const OptionSpec* option : options_of(verb))
        if (same_name(option->name, typed) ||
            (!option->alias.empty() && same_name(option->alias, typed)))
            return option;
    return nullptr;
}

std::vector<std::string> choices_of(const OptionSpec& option) {
    std::vector<std::string> words;
    for (std::string_view rest = option.argument; !rest.empty() && rest.front() != '<';) {
        const std::size_t bar = std::min(rest.find('|'), rest.size());
        words.emplace_back(rest.substr(0, bar));
        rest.remove_prefix(std::min(bar + 1, rest.size()));
    }
    return words;
}

std::string_view choice_doc(const OptionSpec& option, std::string_view choice) {
    for (const ChoiceDoc& known : choice_table)
        if (known.option == option.name && known.choice == choice)
            return known.doc;
    return "";
}

bool Token::is_option() const {
    return !quoted_start && equals == std::string::npos && text.size() >= 2 && text[0] == '-' &&
           ((text[1] >= 'a' && text[1] <= 'z') || (text[1] >= 'A' && text[1] <= 'Z'));
}

std::vector<Token> tokenize(std::string_view line) {
    std::vector<Token> tokens;
    std::size_t i = 0;
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (true) {
        while (i < line.size() && is_space(line[i]))
            ++i;
        if (i == line.size())
            return tokens;
        Token token;
        token.begin = i;
        token.quoted_start = line[i] == '"' || line[i] == '\'';
        char quote = 0;
        for (; i < line.size() && (quote != 0 || !is_space(line[i])); ++i) {
            const char c = line[i];
            const bool escapes = quote == '"' && c == '\\' && i + 1 < line.size() &&
                                 (line[i + 1] == '"' || line[i + 1] == '\\');
            if (escapes) {
                token.text += line[++i];
            } else if (quote != 0 && c == quote) {
                quote = 0;
            } else if (quote == 0 && (c == '"' || c == '\'')) {
                quote = c;
            } else {
                if (c == '=' && quote == 0 && token.equals == std::string::npos)
                    token.equals = token.text.size();
                token.text += c;
            }
        }
        token.end = i;
        token.open = quote != 0;
        tokens.push_back(std::move(token));
    }
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

Result<Command> parse(std::string_view line) {
    if (line.size() > longest_line)
        return Fault{FaultKind::usage, "Invalid command - a line holds at most " +
                                           std::to_string(longest_line) + " bytes."};
    const std::vector<Token> tokens = tokenize(line);
    if (tokens.empty())
        return Fault{FaultKind::usage, "Invalid command '' - type help for a list of commands."};
    const VerbSpec* verb = find_verb(tokens.front().text);
    if (!verb)
        return unknown_verb(tokens.front().text);
    if (tokens.back().open)
        return usage_fault(*verb, "Invalid command syntax: a quote is not closed");

    Command command;
    command.verb = verb->verb;
    for (std::size_t i = 1; i < tokens.size(); ++i) {
        if (tokens[i].is_option()) {
            if (auto taken = take_option(command, *verb, tokens, i); !taken)
                return taken.fault();
            continue;
        }
        auto item = item_of(*verb, tokens[i]);
        if (!item)
            return item.fault();
        command.items.push_back(std::move(*item));
    }
    if (auto complete = check_required(command, *verb); !complete)
        return complete.fault();
    return command;
}

std::string resolve_path(std::string_view current, std::string_view typed) {
    std::vector<std::string_view> parts;
    const auto walk = [&parts](std::string_view path) {
        while (!path.empty()) {
            const std::size_t slash = path.find('/');
            const std::string_view part = path.substr(0, slash);
            if (part == ".." && !parts.empty())
                parts.pop_back();
            else if (!part.empty() && part != "." && part != "..")
                parts.push_back(part);
            path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
        }
    };
    if (typed.empty() || typed.front() != '/')
        walk(current);
    walk(typed);
    std::string result;
    for (const std::string_view part : parts) {
        result += '/';
        result += part;
    }
    return result.empty() ? "/" : result;
}

std::string parent_path(std::string_view path) { return resolve_path(path, ".."); }

std::string last_name(std::string_view path) {
    return std::string(path.substr(path.rfind('/') + 1));
}

std::string join_words(const std::vector<std::string>& words) {
    if (words.size() == 1)
        return words.front();
    std::string line;
    for (const std::string& word : words) {
        const bool needs_quotes =
            (word.empty() || word.find_first_of(" \t") != std::string::npos) &&
            word.find_first_of("\"'") == std::string::npos;
        std::size_t value = needs_quotes ? word.find('=') : std::string::npos;
        value = value == std::string::npos ? 0 : word.find_first_not_of('=', value);
        if (value == std::string::npos)
            value = word.size();
        if (!line.empty())
            line += ' ';
        if (needs_quotes)
            line += word.substr(0, value) + '"' + word.substr(value) + '"';
        else
            line += word;
    }
    return line;
}

} // namespace lom::shell
