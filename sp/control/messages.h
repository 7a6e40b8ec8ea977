// What travels over the control socket, as plain data. The wire form (length-prefixed JSON) is
// docs/control-protocol.md; only wire.cpp knows it. Standard library only.
#pragma once

#include "base/fd.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lom::control {

/// One property as a door shows it.
struct PropertyView {
    std::string name;
    std::string text; ///< as the shell prints it: `(none)`, `*****`, `(Cannot show property)`, ...
    std::string json; ///< the value as a JSON fragment; `null` where it cannot be shown
};

struct Table {
    std::string title;
    std::vector<std::string> columns;
    std::vector<std::size_t> widths; ///< in characters; 0: a line of its own below the row
    std::vector<std::vector<std::string>> rows;
};

/// A target as `show` gives it. Beyond the asked depth, children carry their name only.
struct TargetView {
    std::string path; ///< canonical, as walked by the asker: /SP/users/root
    std::string name;
    std::string note; ///< behind the name in its parent's list: `(current)`; empty: nothing
    std::vector<PropertyView> properties;
    std::vector<TargetView> targets;
    std::vector<std::string> commands;
    bool expanded = false;                  ///< false: a name in its parent's list only
    std::optional<std::string> text;        ///< shown instead of the sections (console history)
    std::optional<Table> table;             ///< shown instead of the sections (logs)
    std::optional<std::int64_t> page_lines; ///< of `text`: lines before a pause; 0: no pause
};

/// What help, completion, forms and clients need to know about a property.
struct PropertyDescription {
    std::string name;
    std::string doc;
    std::string type;                ///< "string", "integer", "boolean", "enumeration", "size", ...
    std::vector<std::string> values; ///< of an enumeration
    std::string write_role;          ///< letters; empty: read-only
    bool readable = true;            ///< false: action or secret
    bool secret = false;             ///< ask without echo, twice, when given without a value
    bool required = false;           ///< for create
    std::string question;            ///< asked before `set`, without " (y/n)? "; empty: none
    std::vector<std::string> value_docs = {}; ///< one line for each of `values`
};

struct VerbDescription {
    std::string name; ///< start, stop, reset, create, delete, load, dump
    std::string doc;
    std::string role;
    std::string question;       ///< "Are you sure you want to start /SYS"; empty: none
    std::string force_question; ///< the question under -force where it differs
    std::vector<PropertyDescription> properties; ///< what `create` takes
};

struct TargetDescription {
    std::string path;
    std::string doc;
    std::vector<PropertyDescription> properties;
    std::vector<VerbDescription> verbs;                       ///< beyond cd, show, set
    std::vector<std::pair<std::string, std::string>> targets; ///< name, doc
};

struct Hello {
    std::string product; ///< "OpenLOM"
    std::string version; ///< of lomd
    std::string hostname;
    std::string account;         ///< bound account; empty: not authenticated yet
    std::string roles;           ///< letters
    std::string prompt;          ///< of the shell: "-> "
    std::string ticket;          ///< resumes this session on a later connection; empty: none
    std::string session;         ///< its id
    std::string connect_message; ///< for people before they log in, `\n` stands for a new line
    std::string login_message;   ///< for them afterwards
    bool login_message_acceptance = false; ///< they have to accept it
};

/// The answer to `set`.
struct SetReply {
    std::string property; ///< canonical name
    std::string text;     ///< value as printed in `Set 'p' to 'v'` (*****  for secrets)
    std::string message;  ///< an action's own answer instead; "Ping of 127.0.0.1 succeeded"
    bool failed = false;  ///< the action came to a bad end, as `message` says
};

/// The answer to start, stop, reset, create, delete.
struct RunReply {
    std::string message;   ///< "Starting /SYS"
    std::string waits_for; ///< a sentence: nothing was done yet; ask again in a second
    std::string stream;    ///< "console": `fd` carries kvms/console messages; empty: no stream
    std::string escape;    ///< sequence that leaves the console
    UniqueFd fd;
};

struct RunRequest {
    std::string target;
    std::string verb;
    bool force = false;
    std::vector<std::pair<std::string, std::string>> properties; ///< create
    std::optional<std::uint64_t> console_offset;                 ///< go on reading there
    bool resumed = false;  ///< a console that comes back after lomd was away: no audit entry
    bool may_wait = false; ///< `waits_for` is understood
};

} // namespace lom::control
