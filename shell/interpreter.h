// Runs command lines: looks things up in the tree, asks what must be asked, prints what ILOM would
// print. Holds what a session remembers (the current target). One thread; blocks in Tree and
// Terminal only. Never ends the process.
#pragma once

#include "shell/grammar.h"
#include "shell/terminal.h"
#include "shell/tree.h"

#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

/// Exit statuses of `lom COMMAND` and `ssh sp COMMAND`.
namespace status {
constexpr int done = 0;
constexpr int usage = 1;
constexpr int refused = 2;
constexpr int not_found = 3;
constexpr int failed = 4;
int of(FaultKind kind);
} // namespace status

class Interpreter {
  public:
    struct Outcome {
        int status = status::done;
        bool exit = false;   ///< the session is to end
        bool secret = false; ///< the line held a secret: not for the history
    };

    Interpreter(Tree& tree, Terminal& terminal) : tree_(tree), terminal_(terminal) {}

    /// Blank lines do nothing.
    Outcome execute(std::string_view line);
    const std::string& current_target() const { return current_; }

  private:
    /// What a command speaks of, and its remaining items.
    struct Place {
        std::string path;
        control::TargetDescription description;
        std::vector<Item> rest;
    };

    int run(const Command& command);
    int cd(const Command& command);
    int create(const Command& command);
    int set(const Command& command);
    int set_one(const Command& command, const Place& place, const Item& item);
    int show(const Command& command);
    int act(const Command& command);
    bool add_place(const Command& command, const char* name, const std::string& uri,
                   control::RunRequest& request);
    bool add_source(const Command& command, control::RunRequest& request);
    int help(const Command& command);
    int help_target(const Command& command);
    int version();

    Result<Place> locate(const Command& command);
    /// Asks the question unless the command says -script; true: go on.
    bool confirmed(const Command& command, const std::string& question);
    /// Asks twice; nullopt: they differ, or input ended (said to the person).
    std::optional<std::string> new_secret(std::string_view verb, const std::string& property);
    Result<control::RunReply> run_patiently(control::RunRequest& request, const Command& command);
    bool ask_missing_secrets(const control::VerbDescription& description,
                             std::vector<std::pair<std::string, std::string>>& properties);

    int complain(std::string_view verb, const std::string& what, int status);
    int complain(std::string_view verb, const Fault& fault, const std::string& hint = {});
    /// With the nearest of `properties`, which belong to `path`.
    int no_property(std::string_view verb, const std::string& typed,
                    const std::vector<control::PropertyDescription>& properties,
                    const std::string& path);
    /// With the nearest target there is if `path` is missing.
    int no_target(std::string_view verb, const Fault& fault, const std::string& path);
    std::string wanted_path(const Command& command) const;
    /// "Did you mean ...", or empty.
    std::string target_hint(const std::string& path);

    Tree& tree_;
    Terminal& terminal_;
    std::string current_ = "/";
    bool secret_ = false; ///< of the command that runs
};

} // namespace lom::shell
