// lom: the shell of the service processor. What an SSH login runs, and what root runs on the SP's
// own machine.
#include "shell/complete.h"
#include "shell/input.h"
#include "shell/interactive.h"
#include "shell/interpreter.h"
#include "shell/output.h"
#include "shell/piped.h"
#include "shell/remote_tree.h"
#include "shell/sftp_session.h"
#include "shell/text.h"

#include <CLI/CLI.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>

namespace {

using namespace lom;
using namespace lom::shell;

struct Arguments {
    std::string run_dir = "/run/openlom";
    int control_fd = -1;
    int input_end_fd = -1;
    std::string command; ///< empty: a session
    bool sftp = false;
};

std::string banner(const control::Hello& hello) {
    std::string out = "\n" + hello.product + " Integrated Lights Out Manager\n\nVersion " +
                      hello.version + "\n\n";
    if (!hello.hostname.empty())
        out += "Hostname: " + hello.hostname + "\n\n";
    return out;
}

/// The message that administrators set for those who log in; false: not accepted.
bool show_login_message(InteractiveTerminal& terminal, const control::Hello& hello) {
    const std::string message = message_text(hello.login_message, "\n");
    if (message.empty())
        return true;
    (void)write_all(STDOUT_FILENO, message + "\n");
    if (!hello.login_message_acceptance)
        return true;
    const auto answer = terminal.ask("Do you accept this (y/n)? ");
    return answer && (*answer == "y" || *answer == "Y" || same_name(*answer, "yes"));
}

int converse(Interpreter& interpreter, InteractiveTerminal& terminal, const RemoteTree& tree) {
    (void)write_all(STDOUT_FILENO, banner(tree.hello()));
    if (!show_login_message(terminal, tree.hello()))
        return status::done;
    std::string line;
    for (;;) {
        const auto read = terminal.read_command(line);
        if (read == InteractiveTerminal::Read::end || tree.ended())
            return status::done;
        if (read == InteractiveTerminal::Read::abandoned || is_blank(line))
            continue;
        const auto outcome = interpreter.execute(line);
        if (!outcome.secret)
            terminal.remember(line);
        if (outcome.exit)
            return status::done;
        (void)write_all(STDOUT_FILENO, "\n");
    }
}

int read_script(Interpreter& interpreter, Input& input, const RemoteTree& tree) {
    int result = status::done;
    while (!tree.ended()) {
        const auto line = input.line(longest_line + 1);
        if (!line)
            break;
        if (is_blank(*line))
            continue;
        const auto outcome = interpreter.execute(*line);
        if (outcome.status != status::done)
            result = outcome.status;
        if (outcome.exit)
            break;
        (void)write_all(STDOUT_FILENO, "\n");
    }
    return result;
}

int run(const Arguments& arguments) {
    auto client = arguments.control_fd >= 0
                      ? control::Client::from_fd(UniqueFd(arguments.control_fd), arguments.run_dir)
                      : control::Client::connect_local(arguments.run_dir);
    if (!client) {
        std::fprintf(stderr, "lom: %s\n", client.fault().message.c_str());
        return status::of(client.fault().kind);
    }
    if (arguments.sftp)
        return serve_sftp(*client);
    const bool interactive = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
    InteractiveTerminal* person = nullptr;
    RemoteTree tree(std::move(*client), [&person](std::string_view line) {
        if (person)
            person->notice(line);
        else
            (void)write_all(STDERR_FILENO, std::string(line) + "\n");
    });
    Input input(STDIN_FILENO, tree, interactive, UniqueFd(arguments.input_end_fd));
    if (!interactive) {
        PipedTerminal terminal(input, STDOUT_FILENO);
        Interpreter interpreter(tree, terminal);
        return arguments.command.empty() ? read_script(interpreter, input, tree)
                                         : interpreter.execute(arguments.command).status;
    }
    Interpreter* commands = nullptr;
    InteractiveTerminal terminal(input, tree, [&](std::string_view line) {
        return complete(tree, commands->current_target(), line);
    });
    Interpreter interpreter(tree, terminal);
    commands = &interpreter;
    person = &terminal;
    const int result = arguments.command.empty() ? converse(interpreter, terminal, tree)
                                                 : interpreter.execute(arguments.command).status;
    person = nullptr;
    return result;
}

} // namespace

int main(int argc, char** argv) {
    // Passwords pass through here.
    prctl(PR_SET_DUMPABLE, 0);
    Arguments arguments;
    CLI::App app("The shell of the OpenLOM service processor.\n"
                 "Without a command: a session, from a terminal or from lines on standard input.\n"
                 "Exit status of a command: 0 done, 1 usage, 2 refused, 3 no such target or "
                 "property, 4 failed.",
                 "lom");
    app.set_version_flag("--version", "lom " LOM_VERSION);
    app.add_option("--run-dir", arguments.run_dir, "Where lomd's control socket is")
        ->capture_default_str();
    app.add_option("--control-fd", arguments.control_fd,
                   "An inherited, authenticated control connection");
    app.add_option("--input-end-fd", arguments.input_end_fd,
                   "An inherited pipe that closes when a terminal will give no more input")
        ->group("");
    app.add_option("--command", arguments.command, "One command line, as a single argument");
    app.add_flag("--sftp", arguments.sftp,
                 "Carry an SFTP session between standard input and output and the image library")
        ->group("");
    app.prefix_command();
    app.footer("COMMAND...: one command, for example: lom show -o json /SYS");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? status::done : status::usage;
    }
    if (!app.remaining().empty())
        arguments.command = join_words(app.remaining());
    return run(arguments);
}
