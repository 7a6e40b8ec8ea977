#include "vmm/line_editor.h"

#include <algorithm>

namespace lom::vmm {

namespace {

constexpr char bell = '\a';
constexpr char ctrl_c = 0x03;
constexpr char ctrl_u = 0x15;
constexpr char escape_key = 0x1b;
constexpr char del = 0x7f;

bool is_control(char byte) { return (byte >= 0 && byte < ' ') || byte == del; }

} // namespace

LineEditor::Got LineEditor::take(char byte, std::string& echo) {
    if (ended_)
        start();
    const bool second_half = after_cr_ && byte == '\n';
    after_cr_ = byte == '\r';
    if (second_half)
        return Got::nothing;
    if (is_control(byte)) {
        escape_ = Escape::none;
        return control(byte, echo);
    }
    if (escape_ != Escape::none)
        escape(byte, echo);
    else if (byte >= ' ')
        insert(byte, echo);
    return Got::nothing;
}

LineEditor::Got LineEditor::control(char byte, std::string& echo) {
    switch (byte) {
    case '\r':
    case '\n':
        return end_line(echo);
    case '\b':
    case del:
        erase(1, echo);
        return Got::nothing;
    case ctrl_u:
        too_long_ = false;
        erase(line_.size(), echo);
        return Got::nothing;
    case ctrl_c:
        echo += "^C\r\n";
        start();
        return Got::interrupt;
    case escape_key:
        escape_ = Escape::begun;
        return Got::nothing;
    default:
        return Got::nothing;
    }
}

// ESC [ parameters final, ESC O final, or ESC and one character.
void LineEditor::escape(char byte, std::string& echo) {
    if (escape_ == Escape::begun && (byte == '[' || byte == 'O')) {
        escape_ = Escape::sequence;
        return;
    }
    if (escape_ == Escape::sequence && byte < '@')
        return;
    const bool arrow = escape_ == Escape::sequence;
    escape_ = Escape::none;
    if (arrow && byte == 'A' && recalled_ > 0)
        recall(recalled_ - 1, echo);
    else if (arrow && byte == 'B' && recalled_ < history_.size())
        recall(recalled_ + 1, echo);
}

LineEditor::Got LineEditor::end_line(std::string& echo) {
    echo += "\r\n";
    ended_ = true;
    if (too_long_)
        return Got::too_long;
    const bool blank = line_.find_first_not_of(' ') == std::string::npos;
    if (!blank && (history_.empty() || history_.back() != line_))
        history_.push_back(line_);
    if (history_.size() > history_limit)
        history_.pop_front();
    return Got::line;
}

void LineEditor::insert(char byte, std::string& echo) {
    if (line_.size() >= line_limit) {
        too_long_ = true; // the rest must not be run without what is missing
        echo += bell;
        return;
    }
    line_ += byte;
    echo += byte;
}

void LineEditor::erase(std::size_t count, std::string& echo) {
    count = std::min(count, line_.size());
    line_.resize(line_.size() - count);
    for (; count > 0; --count)
        echo += "\b \b";
}

void LineEditor::recall(std::size_t index, std::string& echo) {
    erase(line_.size(), echo);
    too_long_ = false;
    recalled_ = index;
    line_ = index < history_.size() ? history_[index] : "";
    echo += line_;
}

void LineEditor::start() {
    line_.clear();
    recalled_ = history_.size();
    too_long_ = false;
    ended_ = false;
    escape_ = Escape::none;
}

} // namespace lom::vmm
