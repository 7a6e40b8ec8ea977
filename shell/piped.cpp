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

bool PipedTerminal::rest(std::chrono::milliseconds time) { return rest_for(time); }

Result<void> PipedTerminal::run_console(Tree& tree, const control::RunRequest& request,
                                        control::RunReply reply) {
    std::string ahead = input_.take_ahead();
    const auto ended =
        ConsoleSession(tree, request, {input_.fd(), output_, &ahead, "\n"}).run(std::move(reply));
    input_.put_back(std::move(ahead));
    return ended;
}

} // namespace lom::shell
