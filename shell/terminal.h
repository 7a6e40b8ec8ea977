// The person or script that types the commands, as a command sees them. Implementations: a real
// terminal (interactive.h), lines from a pipe (piped.h), a fake in tests. One thread.
#pragma once

#include "shell/tree.h"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lom::shell {

class Terminal {
  public:
    virtual ~Terminal() = default;

    /// Complete lines; long output may pause for a key.
    virtual void write(std::string_view text) = 0;
    /// The next line of input, without its end. nullopt: there is none, or Ctrl-C.
    virtual std::optional<std::string> ask(const std::string& question) = 0;
    /// The same without echo.
    virtual std::optional<std::string> ask_secret(const std::string& question) = 0;
    /// Whether write() may pause until the next command.
    virtual void allow_pauses(bool allowed) = 0;
    /// It pauses after so many lines instead of a screenful, 0: never; until the next command.
    virtual void pause_every(std::size_t /*lines*/) {}
    /// Lets some time pass; false: Ctrl-C came.
    virtual bool rest(std::chrono::milliseconds time) = 0;
    /// Columns to fold long values at; 0: never fold.
    virtual std::size_t width() const = 0;
    /// Rows that a person sees at once; 0: nobody looks.
    virtual std::size_t height() const { return 0; }
    /// Joins the person to a console until they leave it; `request` opened it and can do so again.
    virtual Result<void> run_console(Tree& tree, const control::RunRequest& request,
                                     control::RunReply reply) = 0;
};

} // namespace lom::shell
