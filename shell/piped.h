// Commands from a pipe or a file: no prompt, no pauses; a question takes the next line as its
// answer. One thread.
#pragma once

#include "shell/input.h"
#include "shell/terminal.h"

namespace lom::shell {

class PipedTerminal final : public Terminal {
  public:
    PipedTerminal(Input& input, int output) : input_(input), output_(output) {}

    void write(std::string_view text) override;
    std::optional<std::string> ask(const std::string& question) override;
    std::optional<std::string> ask_secret(const std::string& question) override;
    void allow_pauses(bool) override {}
    bool rest(std::chrono::milliseconds time) override;
    std::size_t width() const override { return 0; }
    Result<void> run_console(Tree& tree, const control::RunRequest& request,
                             control::RunReply reply) override;

  private:
    Input& input_;
    int output_;
};

} // namespace lom::shell
