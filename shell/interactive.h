// A person at a terminal: line editing with history and Tab, questions, pauses after each screen.
// One per process (libedit and signals), one thread.
#pragma once

#include "shell/input.h"
#include "shell/terminal.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lom::shell {

struct Completion;

class InteractiveTerminal final : public Terminal {
  public:
    /// `complete(line up to the cursor)` is asked on Tab.
    InteractiveTerminal(Input& input, RemoteTree& tree,
                        std::function<Completion(std::string_view)> complete);
    ~InteractiveTerminal() override;

    enum class Read { line, abandoned, end };
    /// Edits one command line.
    Read read_command(std::string& line);
    void remember(const std::string& line);
    /// A line of its own, at once, also while a command is typed.
    void notice(std::string_view line);

    void write(std::string_view text) override;
    std::optional<std::string> ask(const std::string& question) override;
    std::optional<std::string> ask_secret(const std::string& question) override;
    void allow_pauses(bool allowed) override;
    void pause_every(std::size_t lines) override;
    bool rest(std::chrono::milliseconds time) override;
    std::size_t width() const override;
    std::size_t height() const override;
    Result<void> run_console(Tree& tree, const control::RunRequest& request,
                             control::RunReply reply) override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::shell
