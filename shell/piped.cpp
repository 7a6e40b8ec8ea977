#include "shell/piped.h"

#include "shell/console_session.h"
#include "shell/grammar.h"
#include "shell/output.h"

namespace lom::shell {

void PipedTerminal::write(std::string_view text) { (void)write_all(output_, text); }

std::optional<std::string> PipedTerminal::ask(const std::string& question) {
    write(question);
    auto answer = input_.line(longest_line);
    write((answer ? *answer : std::string()) + "\n"); // so that a record of the output reads right
    return answer;
}

std::optional<std::string> PipedTerminal::ask_secret(const std::string& question) {
    write(question);
    auto answer = input_.line(longest_line);
    write("\n");
    return answer;
}

Result<void> PipedTerminal::run_console(Tree& tree, const control::RunRequest& request,
                                        control::RunReply reply) {
    return ConsoleSession(tree, request, {input_.fd(), output_, &input_.ahead(), "\n"})
        .run(std::move(reply));
}

} // namespace lom::shell
