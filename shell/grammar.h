// The command line as a person types it, taken apart: tokens, verb, options, items. Knows nothing
// of the tree: whether a word is a target or a property is decided by whoever runs the command.
// Standard library only; any thread; sans-IO.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

constexpr std::size_t longest_line = 16U << 10U;

enum class Verb {
    cd,
    create,
    remove, ///< `delete`
    dump,
    exit,
    help,
    load,
    reset,
    set,
    show,
    start,
    stop,
    version
};

enum class Output { standard, table, json, terse, verbose };

struct Options {
    bool script = false;
    bool force = false;
    bool initial_target = false; ///< cd -default
    bool help = false;
    bool examine = false;
    bool nowrap = false;
    bool targets = false; ///< -display; none of the three: all sections
    bool properties = false;
    bool commands = false;
    std::optional<int> level; ///< `all` is 255
    Output output = Output::standard;
    std::string source;
    std::string destination;

    bool all_sections() const { return !targets && !properties && !commands; }
};

/// One word behind the verb that is no option.
struct Item {
    enum class Kind { word, assignment, filter };
    Kind kind = Kind::word;
    std::string name;                ///< the word itself, or the property
    std::string value;               ///< of an assignment
    std::vector<std::string> values; ///< of a filter: any of them
};

struct Command {
    Verb verb = Verb::exit;
    Options options;
    std::vector<Item> items;
};

struct VerbSpec {
    Verb verb;
    std::string_view name;
    std::string_view usage;
    std::string_view doc;
};

struct OptionSpec {
    std::string_view name;
    std::string_view alias;    ///< empty: none
    std::string_view argument; ///< `a|b|c` are the allowed words, `<...>` is free; empty: none
    std::string_view verbs;    ///< names with spaces between; `*`: every verb
    std::string_view doc;
};

/// In the order `help` prints them.
std::span<const VerbSpec> verbs();
const VerbSpec& spec_of(Verb verb);
const VerbSpec* find_verb(std::string_view name);
/// Options that `verb` takes.
std::vector<const OptionSpec*> options_of(Verb verb);
const OptionSpec* find_option(Verb verb, std::string_view typed);
/// The words that its argument can be; empty: anything.
std::vector<std::string> choices_of(const OptionSpec& option);
/// What one of these words means.
std::string_view choice_doc(const OptionSpec& option, std::string_view choice);

/// A word of the line with its quotes removed.
struct Token {
    std::string text;
    std::size_t begin = 0;                  ///< in the line, with the quotes
    std::size_t end = 0;                    ///< behind it
    std::size_t equals = std::string::npos; ///< in text: the first `=` outside quotes
    bool quoted_start = false;              ///< a quoted word is never an option
    bool open = false;                      ///< the quote never closed

    bool is_option() const;
};

std::vector<Token> tokenize(std::string_view line);
bool is_blank(std::string_view line);

/// Fault: usage, with the complete text to print.
Result<Command> parse(std::string_view line);

/// `typed` as seen from `current`; `.`, `..` and slashes too many are gone.
std::string resolve_path(std::string_view current, std::string_view typed);
std::string parent_path(std::string_view path);
std::string last_name(std::string_view path);

/// One line for tokenize() from words that a Unix shell has already split: a word with spaces and
/// no quotes of its own gets quotes again, behind its `=` if it has one.
std::string join_words(const std::vector<std::string>& words);

} // namespace lom::shell
