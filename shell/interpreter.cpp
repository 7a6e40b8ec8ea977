#include "shell/interpreter.h"

#include "shell/save_file.h"
#include "shell/text.h"

#include <algorithm>

namespace lom::shell {

namespace {

constexpr std::chrono::seconds most_patience{60};

const control::PropertyDescription*
find_property(const std::vector<control::PropertyDescription>& properties, std::string_view name) {
    for (const control::PropertyDescription& property : properties)
        if (same_name(property.name, name))
            return &property;
    return nullptr;
}

const control::VerbDescription* find_verb_of(const control::TargetDescription& description,
                                             std::string_view name) {
    for (const control::VerbDescription& verb : description.verbs)
        if (verb.name == name)
            return &verb;
    return nullptr;
}

// "/SP/users" makes users: what one of its objects is called.
std::string object_name(const std::string& container) {
    std::string name = last_name(container);
    if (name.size() > 1 && name.back() == 's')
        name.pop_back();
    return name;
}

std::string property_hint(const std::vector<control::PropertyDescription>& properties,
                          std::string_view typed, const std::string& path) {
    std::vector<std::string> names;
    for (const control::PropertyDescription& property : properties)
        names.push_back(property.name);
    const std::string hint = did_you_mean(typed, names);
    return hint.empty() ? "Type help " + path + " for its properties." : hint;
}

std::string value_hint(const control::PropertyDescription* property, const Fault& fault,
                       std::string_view typed) {
    return property && fault.kind == FaultKind::invalid_value
               ? did_you_mean(typed, property->values)
               : std::string();
}

// ILOM's words for the outcome, where lomd's sentence does not begin with them already.
std::string_view lead_words(FaultKind kind) {
    switch (kind) {
    case FaultKind::invalid_value:
        return "Invalid property value";
    case FaultKind::denied:
        return "Permission denied";
    case FaultKind::not_found:
        return "Invalid target";
    case FaultKind::usage:
        return "Invalid command syntax";
    default:
        return "";
    }
}

bool begins_like(const std::string& sentence, std::string_view words) {
    const std::string_view first = words.substr(0, words.find(' '));
    return starts_with_name(sentence, first) || starts_with_name(sentence, "No ");
}

} // namespace

int status::of(FaultKind kind) {
    switch (kind) {
    case FaultKind::usage:
        return usage;
    case FaultKind::invalid_value:
    case FaultKind::denied:
    case FaultKind::wrong_state:
    case FaultKind::busy:
        return refused;
    case FaultKind::not_found:
        return not_found;
    case FaultKind::unavailable:
    case FaultKind::internal:
        break;
    }
    return failed;
}

Interpreter::Outcome Interpreter::execute(std::string_view line) {
    Outcome outcome;
    if (is_blank(line))
        return outcome;
    terminal_.allow_pauses(true);
    const auto command = parse(line);
    if (!command) {
        terminal_.write(command.fault().message + "\n");
        outcome.status = status::usage;
        return outcome;
    }
    if (command->verb == Verb::exit && !command->options.help) {
        outcome.exit = true;
        return outcome;
    }
    terminal_.allow_pauses(!command->options.script);
    secret_ = false;
    outcome.status = run(*command);
    outcome.secret = secret_;
    return outcome;
}

int Interpreter::run(const Command& command) {
    if (command.options.help && command.verb != Verb::help) {
        Command about{Verb::help, {}, {{Item::Kind::word, {}, {}, {}}}};
        about.items.front().name = spec_of(command.verb).name;
        return help(about);
    }
    switch (command.verb) {
    case Verb::cd:
        return cd(command);
    case Verb::create:
        return create(command);
    case Verb::set:
        return set(command);
    case Verb::show:
        return show(command);
    case Verb::help:
        return help(command);
    case Verb::version:
        return version();
    default:
        return act(command);
    }
}

int Interpreter::cd(const Command& command) {
    const bool misplaced =
        command.items.size() > 1 ||
        (!command.items.empty() && command.items.front().kind != Item::Kind::word) ||
        (command.items.empty() != command.options.initial_target);
    if (misplaced)
        return complain("cd",
                        "Invalid command syntax\nUsage: " + std::string(spec_of(Verb::cd).usage),
                        status::usage);
    const std::string path =
        command.items.empty() ? "/" : resolve_path(current_, command.items.front().name);
    const auto found = tree_.describe(path);
    if (!found)
        return no_target("cd", found.fault(), path);
    if (!command.options.examine) {
        current_ = found->path;
        terminal_.write(current_ + "\n");
    }
    return status::done;
}

Result<Interpreter::Place> Interpreter::locate(const Command& command) {
    Place place{current_, {}, command.items};
    const bool has_word = !place.rest.empty() && place.rest.front().kind == Item::Kind::word;
    std::string word;
    if (has_word) {
        word = place.rest.front().name;
        place.path = resolve_path(current_, word);
    }
    auto description = tree_.describe(place.path);
    if (description) {
        if (has_word)
            place.rest.erase(place.rest.begin());
        place.description = std::move(*description);
        place.path = place.description.path;
        return place;
    }
    // A first word that is no target may be a property of the current one.
    if (has_word && description.fault().kind == FaultKind::not_found &&
        word.find('/') == std::string::npos) {
        auto here = tree_.describe(current_);
        if (here && find_property(here->properties, word)) {
            place.description = std::move(*here);
            place.path = place.description.path;
            return place;
        }
    }
    return description.fault();
}

bool Interpreter::confirmed(const Command& command, const std::string& question) {
    if (question.empty() || command.options.script)
        return true;
    const auto answer = terminal_.ask(question + " (y/n)? ");
    if (answer && (same_name(*answer, "y") || same_name(*answer, "yes")))
        return true;
    terminal_.write("Command aborted.\n");
    return false;
}

std::optional<std::string> Interpreter::new_secret(std::string_view verb,
                                                   const std::string& property) {
    const auto first = terminal_.ask_secret("Enter new " + property + ": ");
    const auto again =
        first ? terminal_.ask_secret("Enter new " + property + " again: ") : std::nullopt;
    if (again && *again == *first)
        return first;
    if (again)
        terminal_.write(std::string(verb) + ": The two entries are not the same\n");
    else
        terminal_.write("Command aborted.\n");
    return std::nullopt;
}

// -- set

int Interpreter::set(const Command& command) {
    const auto place = locate(command);
    if (!place)
        return no_target("set", place.fault(), wanted_path(command));
    if (place->rest.empty())
        return complain("set",
                        "Invalid command syntax\nUsage: " + std::string(spec_of(Verb::set).usage),
                        status::usage);
    for (const Item& item : place->rest)
        if (const int status = set_one(command, *place, item); status != status::done)
            return status;
    return status::done;
}

int Interpreter::set_one(const Command& command, const Place& place, const Item& item) {
    const auto* property = find_property(place.description.properties, item.name);
    if (!property)
        return no_property("set", item.name, place.description.properties, place.path);
    secret_ |= property->secret;
    std::string value = item.value;
    if (item.kind == Item::Kind::word) {
        if (!property->secret)
            return complain(
                "set", "Invalid command syntax: a value is missing: " + property->name + "=<value>",
                status::usage);
        if (command.options.examine)
            return status::done;
        const auto entered = new_secret("set", property->name);
        if (!entered)
            return status::refused;
        value = *entered;
    }
    if (command.options.examine)
        return status::done;
    if (!confirmed(command, property->question))
        return status::refused;
    const auto reply = tree_.set(place.path, property->name, value);
    if (!reply)
        return complain("set", reply.fault(), value_hint(property, reply.fault(), value));
    terminal_.write(reply->message.empty()
                        ? "Set '" + reply->property + "' to '" + printable(reply->text) + "'\n"
                        : printable(reply->message) + "\n");
    return reply->failed ? status::failed : status::done;
}

// -- create

bool Interpreter::ask_missing_secrets(
    const control::VerbDescription& description,
    std::vector<std::pair<std::string, std::string>>& properties) {
    for (const control::PropertyDescription& property : description.properties) {
        const bool given =
            std::any_of(properties.begin(), properties.end(),
                        [&](const auto& entry) { return same_name(entry.first, property.name); });
        if (given || !property.required || !property.secret)
            continue;
        auto entered = new_secret("create", property.name);
        if (!entered)
            return false;
        properties.emplace_back(property.name, std::move(*entered));
    }
    return true;
}

int Interpreter::create(const Command& command) {
    if (command.items.empty() || command.items.front().kind != Item::Kind::word)
        return complain(
            "create", "Invalid command syntax\nUsage: " + std::string(spec_of(Verb::create).usage),
            status::usage);
    control::RunRequest request;
    request.verb = "create";
    request.target = resolve_path(current_, command.items.front().name);
    const std::string container = parent_path(request.target);
    const auto description = tree_.describe(container);
    if (!description)
        return no_target("create", description.fault(), container);
    const auto* verb = find_verb_of(*description, "create");
    if (!verb)
        return complain("create", "Nothing can be created in " + description->path,
                        status::not_found);
    for (std::size_t i = 1; i < command.items.size(); ++i) {
        const Item& item = command.items[i];
        const auto* property = find_property(verb->properties, item.name);
        if (!property)
            return no_property("create", item.name, verb->properties, description->path);
        secret_ |= property->secret;
        if (item.kind == Item::Kind::assignment)
            request.properties.emplace_back(item.name, item.value);
        else if (!property->secret || !property->required)
            return complain("create",
                            "Invalid command syntax: a value is missing: " + printable(item.name) +
                                "=<value>",
                            status::usage);
    }
    if (command.options.examine)
        return status::done;
    terminal_.write("Creating " + object_name(description->path) + "...\n");
    if (!ask_missing_secrets(*verb, request.properties))
        return status::refused;
    const auto reply = tree_.run(request);
    if (!reply)
        return complain("create", reply.fault());
    terminal_.write((reply->message.empty() ? "Created " + request.target : reply->message) + "\n");
    return status::done;
}

// -- start, stop, reset, delete, load, dump

int Interpreter::act(const Command& command) {
    const std::string name(spec_of(command.verb).name);
    const auto place = locate(command);
    if (!place)
        return no_target(name, place.fault(), wanted_path(command));
    if (!place->rest.empty())
        return complain(name,
                        "Invalid command syntax: one target is enough\nUsage: " +
                            std::string(spec_of(command.verb).usage),
                        status::usage);
    const auto* verb = find_verb_of(place->description, name);
    if (!verb)
        return complain(name, "Not supported on the target " + place->path, status::refused);
    if (command.options.examine)
        return status::done;
    const bool forced = command.options.force && !verb->force_question.empty();
    if (!confirmed(command, forced ? verb->force_question : verb->question))
        return status::refused;

    control::RunRequest request;
    request.target = place->path;
    request.verb = name;
    request.force = command.options.force;
    if (command.verb == Verb::load && !add_source(command, request))
        return status::refused;
    if (command.verb == Verb::dump &&
        !add_place(command, "destination", command.options.destination, request))
        return status::refused;
    request.may_wait = command.verb == Verb::start;
    auto reply = run_patiently(request, command);
    if (!reply && reply.fault().kind == FaultKind::busy && command.verb == Verb::start &&
        starts_with_name(reply.fault().message, "Serial console is in use.")) {
        // A line of its own, without the verb: console programs wait for exactly that.
        terminal_.write(printable(reply.fault().message) + "\n");
        return status::refused;
    }
    if (!reply && command.verb == Verb::reset && reply.fault().kind == FaultKind::wrong_state)
        terminal_.write("Performing hard reset on " + place->path + " failed\n"); // as ILOM says it
    if (!reply)
        return complain(name, reply.fault());
    if (reply->stream == "file")
        if (const auto saved =
                save_file(reply->fd, command.options.destination, command.options.force);
            !saved)
            return complain(name, saved.fault());
    if (!reply->message.empty())
        terminal_.write(printable(reply->message) + "\n");
    if (reply->stream == "console")
        if (const auto ended = terminal_.run_console(tree_, request, std::move(*reply)); !ended)
            return complain(name, ended.fault());
    return status::done;
}

/// What cannot be done yet is asked for again, with a word to the person about what it waits for.
Result<control::RunReply> Interpreter::run_patiently(control::RunRequest& request,
                                                     const Command& command) {
    auto reply = tree_.run(request);
    std::string told;
    for (std::chrono::seconds waited{0}; reply && !reply->waits_for.empty(); ++waited) {
        request.may_wait = waited < most_patience;
        if (!command.options.script && reply->waits_for != told)
            terminal_.write(printable(reply->waits_for) + "\nWaiting. Ctrl-C stops it.\n");
        else if (!command.options.script && waited.count() % 5 == 0)
            terminal_.write("Still waiting, " + std::to_string(waited.count()) + " s.\n");
        told = reply->waits_for;
        if (!terminal_.rest(std::chrono::seconds(1)))
            return Fault{FaultKind::wrong_state, "Stopped waiting; nothing was started."};
        reply = tree_.run(request);
    }
    return reply;
}

/// A place on another machine, and the password of its account, which is not to stand in the line.
bool Interpreter::add_place(const Command& command, const char* name, const std::string& uri,
                            control::RunRequest& request) {
    request.properties.emplace_back(name, uri);
    const std::size_t scheme = uri.find("://");
    if (scheme == std::string::npos || uri.starts_with("file:") || command.options.examine)
        return true;
    const std::string authority = uri.substr(scheme + 3, uri.find('/', scheme + 3) - scheme - 3);
    if (authority.find('@') == std::string::npos)
        return true;
    secret_ = true;
    const auto password = terminal_.ask_secret("Enter remote user password: ");
    if (!password)
        return false;
    request.properties.emplace_back("password", *password);
    return true;
}

/// Pasted text ends with Ctrl-D, with Ctrl-Z as on ILOM, or with a line of one dot.
bool Interpreter::add_source(const Command& command, control::RunRequest& request) {
    constexpr std::size_t most = 128U << 10U;
    const std::string& source = command.options.source;
    if (source != "console")
        return add_place(command, "source", source, request);
    terminal_.write("Paste the text, then a line with only a dot.\n");
    std::string content;
    while (const auto line = terminal_.ask("")) {
        if (*line == "." || *line == "\x1a")
            break;
        content += *line + "\n";
        if (content.size() > most) {
            (void)complain("load", "The text is longer than 128 KiB.", status::refused);
            return false;
        }
    }
    request.properties.emplace_back("source", "console");
    request.properties.emplace_back("content", content);
    return !content.empty() ||
           complain("load", "There was no text.", status::refused) == status::done;
}

// `0.1.0 r42`: the build number is optional.
int Interpreter::version() {
    const std::string& full = tree_.hello().version;
    const std::size_t space = full.find(' ');
    std::string out = "SP firmware " + full.substr(0, space) + "\n";
    if (space != std::string::npos && full.compare(space, 2, " r") == 0)
        out += "SP firmware build number: " + full.substr(space + 2) + "\n";
    terminal_.write(out);
    return status::done;
}

// -- mistakes

int Interpreter::complain(std::string_view verb, const std::string& what, int status) {
    terminal_.write(std::string(verb) + ": " + what + "\n");
    return status;
}

int Interpreter::complain(std::string_view verb, const Fault& fault, const std::string& hint) {
    std::string sentence = printable(fault.message);
    const std::string_view words = lead_words(fault.kind);
    if (!words.empty() && !begins_like(sentence, words))
        sentence = std::string(words) + (sentence.empty() ? "" : "\n" + sentence);
    terminal_.write(std::string(verb) + ": " + sentence + "\n" + (hint.empty() ? "" : hint + "\n"));
    return status::of(fault.kind);
}

int Interpreter::no_property(std::string_view verb, const std::string& typed,
                             const std::vector<control::PropertyDescription>& properties,
                             const std::string& path) {
    const std::string_view lead =
        verb == "help" ? "Property not found" : "No matching properties found";
    return complain(verb,
                    std::string(lead) + ": '" + printable(typed) + "'\n" +
                        property_hint(properties, typed, path),
                    status::not_found);
}

int Interpreter::no_target(std::string_view verb, const Fault& fault, const std::string& path) {
    // Further questions to a lomd that does not answer would only take their time.
    return complain(verb, fault,
                    fault.kind == FaultKind::not_found ? target_hint(path) : std::string());
}

std::string Interpreter::wanted_path(const Command& command) const {
    return command.items.empty() ? current_ : resolve_path(current_, command.items.front().name);
}

std::string Interpreter::target_hint(const std::string& path) {
    std::string wrong = path;
    constexpr int steps_up = 8;
    for (int i = 0; i < steps_up && wrong != "/"; ++i) {
        const std::string parent = parent_path(wrong);
        if (const auto description = tree_.describe(parent)) {
            std::vector<std::string> names;
            for (const auto& [name, doc] : description->targets)
                names.push_back(name);
            const std::string meant = nearest(last_name(wrong), names);
            if (!meant.empty())
                return "Did you mean " + resolve_path(description->path, meant) + "?";
            return "The nearest target is " + description->path + ".";
        }
        wrong = parent;
    }
    return {};
}

} // namespace lom::shell
