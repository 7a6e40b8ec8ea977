// Editing of one line at a dumb terminal: bytes in, echo and lines out. Backspace, Ctrl-U, Ctrl-C,
// history with the up and down arrows; CR, LF and CR LF each end a line once. What is neither
// printable ASCII nor one of these is swallowed, escape sequences whole. Any thread, one owner.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

namespace lom::vmm {

class LineEditor {
  public:
    static constexpr std::size_t line_limit = 255;
    static constexpr std::size_t history_limit = 32;

    enum class Got { nothing, line, too_long, interrupt };
    /// Appends what the terminal has to show to `echo`. After `line`, line() is what was typed.
    Got take(char byte, std::string& echo);
    const std::string& line() const { return line_; }
    void start(); ///< an empty line; the history stays

  private:
    enum class Escape { none, begun, sequence };

    Got control(char byte, std::string& echo);
    void escape(char byte, std::string& echo);
    Got end_line(std::string& echo);
    void insert(char byte, std::string& echo);
    void erase(std::size_t count, std::string& echo);
    void recall(std::size_t index, std::string& echo);

    std::string line_;
    std::deque<std::string> history_;
    std::size_t recalled_ = 0; // history_.size(): the line being typed
    bool too_long_ = false;
    bool after_cr_ = false;
    bool ended_ = false; // line_ was handed out; the next byte begins a new one
    Escape escape_ = Escape::none;
};

} // namespace lom::vmm
