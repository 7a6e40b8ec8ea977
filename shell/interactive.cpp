#include "shell/interactive.h"

#include "shell/complete.h"
#include "shell/console_session.h"
#include "shell/grammar.h"
#include "shell/output.h"
#include "shell/remote_tree.h"
#include "shell/text.h"

#include <histedit.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>

namespace lom::shell {

namespace {

constexpr int terminal_in = STDIN_FILENO;
constexpr int terminal_out = STDOUT_FILENO;
constexpr int remembered_lines = 200;

winsize window() {
    winsize size{};
    ioctl(terminal_out, TIOCGWINSZ, &size);
    return size;
}

/// Other terminal settings until the end of the scope.
class TerminalMode {
  public:
    explicit TerminalMode(const std::function<void(termios&)>& change) {
        valid_ = tcgetattr(terminal_in, &saved_) == 0;
        termios changed = saved_;
        change(changed);
        if (valid_)
            tcsetattr(terminal_in, TCSADRAIN, &changed);
    }
    ~TerminalMode() {
        if (valid_)
            tcsetattr(terminal_in, TCSADRAIN, &saved_);
    }
    TerminalMode(const TerminalMode&) = delete;
    TerminalMode& operator=(const TerminalMode&) = delete;

  private:
    termios saved_{};
    bool valid_ = false;
};

void line_by_hand(termios& mode) { mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON); }
void key_by_key(termios& mode) { mode.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | ISIG); }
void raw(termios& mode) { cfmakeraw(&mode); }

// libedit falls back to a dumb terminal and complains on the screen when terminfo does not know the
// name; nearly everything obeys vt100.
void settle_terminal_type() {
    const char* type = std::getenv("TERM");
    const std::string name = type ? type : "";
    for (const char* folder : {"/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"}) {
        const std::string path = std::string(folder) + "/" + name.substr(0, 1) + "/" + name;
        if (!name.empty() && name.find('/') == std::string::npos && access(path.c_str(), R_OK) == 0)
            return;
    }
    setenv("TERM", "vt100", 1);
}

} // namespace

struct InteractiveTerminal::Impl {
    Input& input;
    RemoteTree& tree;
    std::function<Completion(std::string_view)> complete;
    EditLine* editor = nullptr;
    History* history_lines = nullptr;
    std::string prompt;
    bool editing = false;
    bool in_console = false;
    bool abandoned = false;
    std::size_t typed = 0; ///< characters of this line, to bound it
    std::string tab_line;  ///< the line at the last Tab that changed nothing
    mbstate_t decoder{};

    bool pauses = true;
    bool quit_output = false; ///< the rest of this command's output is not wanted
    std::size_t rows_used = 0;
    std::optional<std::size_t> page_rows; ///< absent: the window's

    static Impl& of(EditLine* editor) {
        void* data = nullptr;
        el_get(editor, EL_CLIENTDATA, &data);
        return *static_cast<Impl*>(data);
    }

    static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }

    // -- keys

    static int next_key(EditLine* editor, wchar_t* key) { return of(editor).read_key(*key); }

    int read_key(wchar_t& key) {
        for (;;) {
            char byte = 0;
            switch (input.next(byte)) {
            case Input::Event::end:
                return 0;
            case Input::Event::interrupted:
                abandoned = true;
                return -1;
            case Input::Event::resized:
                el_resize(editor);
                continue;
            case Input::Event::recovered:
                el_set(editor, EL_REFRESH);
                continue;
            case Input::Event::byte:
                break;
            }
            if (decode(byte, key) && fits(key))
                return 1;
        }
    }

    bool decode(char byte, wchar_t& key) {
        const std::size_t length = std::mbrtowc(&key, &byte, 1, &decoder);
        if (length == static_cast<std::size_t>(-1))
            decoder = {}; // not UTF-8: dropped
        if (length == 0)
            return false; // NUL
        return length == 1;
    }

    // A paste without line ends stops growing the line.
    bool fits(wchar_t key) {
        if (key < L' ')
            return true;
        return ++typed <= longest_line / 4;
    }

    // -- Tab

    static unsigned char on_tab(EditLine* editor, int) { return of(editor).tab(); }

    unsigned char tab() {
        const LineInfo* info = el_line(editor);
        const std::string line(info->buffer, info->cursor);
        const Completion found = complete(line);
        if (found.candidates.empty())
            return CC_ERROR;
        const std::string before = line.substr(found.begin);
        std::string after = found.common();
        if (found.candidates.size() == 1)
            after += found.candidates.front().tail;
        if (after != before) {
            // Only what differs, so that the typed part stays where it is on the screen.
            const bool grows = after.starts_with(before);
            if (!grows)
                el_deletestr(editor, static_cast<int>(columns(before)));
            if (el_insertstr(editor, after.c_str() + (grows ? before.size() : 0)) < 0)
                return CC_ERROR;
            tab_line = line.substr(0, found.begin) + after; // the next Tab lists
            return CC_REFRESH;
        }
        if (std::exchange(tab_line, line) != line)
            return CC_ERROR; // the first Tab; a second one lists
        const std::string list = render_candidates(found, window().ws_col);
        (void)write_all(terminal_out, "\n" + list);
        return CC_REDISPLAY;
    }

    // -- pauses

    std::size_t rows_of(std::string_view line) const {
        const std::size_t width = window().ws_col;
        return width == 0 ? 1 : 1 + (columns(line) == 0 ? 0 : (columns(line) - 1) / width);
    }

    void pause() {
        constexpr std::string_view question = "Paused: press any key to continue, or 'q' to quit";
        (void)write_all(terminal_out, question);
        const TerminalMode mode(key_by_key);
        char key = 'q';
        Input::Event event = Input::Event::resized;
        while (event == Input::Event::resized || event == Input::Event::recovered)
            event = input.next(key);
        (void)write_all(terminal_out, "\r" + std::string(question.size(), ' ') + "\r");
        constexpr char control_c = 3;
        quit_output = event != Input::Event::byte || key == 'q' || key == 'Q' || key == control_c;
        pauses = key != 'a' && key != 'A';
        rows_used = 0;
    }

    void write_through(std::string_view text) {
        if (!quit_output &&
            (!write_all(terminal_out, text, &Input::interrupt_pending) || Input::take_interrupt()))
            quit_output = true;
    }

    void write_paused(std::string_view text) {
        if (!pauses) // not line by line: long outputs would cost a system call for each
            return write_through(text);
        while (!text.empty() && !quit_output) {
            const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
            const std::string_view line = text.substr(0, end);
            const std::size_t rows = rows_of(line);
            const std::size_t height = page_rows ? *page_rows + 1 : window().ws_row;
            if (pauses && height > 2 && rows_used > 0 && rows_used + rows >= height)
                pause();
            if (quit_output)
                return;
            rows_used += rows;
            if (!write_all(terminal_out, line, &Input::interrupt_pending) ||
                Input::take_interrupt())
                quit_output = true;
            text.remove_prefix(end);
        }
    }

    // -- answers

    // Echoes by itself: the kernel's line mode would swallow what was typed ahead for libedit.
    std::optional<std::string> answer(const std::string& question, bool echo) {
        const TerminalMode mode(line_by_hand);
        const auto show = [echo](std::string_view text) {
            (void)write_all(terminal_out, echo ? text : std::string_view());
        };
        (void)write_all(terminal_out, question);
        rows_used = 0;
        std::string line;
        for (;;) {
            constexpr char control_d = 4;
            constexpr char control_u = 21;
            char byte = 0;
            const Input::Event event = input.next(byte);
            if (event == Input::Event::resized || event == Input::Event::recovered)
                continue;
            const bool ends = event != Input::Event::byte || (byte == control_d && line.empty());
            if (ends || byte == '\r' || byte == '\n') {
                (void)write_all(terminal_out, "\n");
                return ends ? std::nullopt : std::optional(line);
            }
            if (byte == '\b' || byte == '\x7f' || byte == control_u) {
                for (bool again = !line.empty(); again;
                     again = byte == control_u && !line.empty()) {
                    while (line.size() > 1 && (static_cast<unsigned char>(line.back()) & 0xc0U) ==
                                                  0x80) // the rest of a UTF-8 character
                        line.pop_back();
                    line.pop_back();
                    show("\b \b");
                }
            } else if (static_cast<unsigned char>(byte) >= ' ' && line.size() < longest_line) {
                line += byte;
                show({&byte, 1});
            }
        }
    }
};

InteractiveTerminal::InteractiveTerminal(Input& input, RemoteTree& tree,
                                         std::function<Completion(std::string_view)> complete)
    : impl_(new Impl{input, tree, std::move(complete)}) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
    settle_terminal_type();
    impl_->prompt = tree.hello().prompt.empty() ? "-> " : tree.hello().prompt;
    impl_->editor = el_init("lom", stdin, stdout, stderr);
    impl_->history_lines = history_init();
    HistEvent event;
    history(impl_->history_lines, &event, H_SETSIZE, remembered_lines);
    history(impl_->history_lines, &event, H_SETUNIQUE, 1);
    EditLine* editor = impl_->editor;
    el_set(editor, EL_CLIENTDATA, impl_.get());
    el_set(editor, EL_PROMPT, &Impl::prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, impl_->history_lines);
    el_wset(editor, EL_GETCFN, &Impl::next_key);
    // The wide form, because the narrow one copies the names and never frees them.
    el_wset(editor, EL_ADDFN, L"lom-complete", L"Completes the word at the cursor", &Impl::on_tab);
    constexpr std::pair<const char*, const char*> keys[] = {
        {"^I", "lom-complete"},          {"^R", "em-inc-search-prev"},
        {"^W", "ed-delete-prev-word"},   {"\\e[1;5D", "ed-prev-word"},
        {"\\e[1;5C", "em-next-word"},    {"\\e[1;3D", "ed-prev-word"},
        {"\\e[1;3C", "em-next-word"},    {"\\e[3~", "ed-delete-next-char"},
        {"\\e[1~", "ed-move-to-beg"},    {"\\e[4~", "ed-move-to-end"},
        {"\\e[H", "ed-move-to-beg"},     {"\\e[F", "ed-move-to-end"},
        {"\\eOH", "ed-move-to-beg"},     {"\\eOF", "ed-move-to-end"},
        {"\\ed", "em-delete-next-word"}, {"\\e[A", "ed-prev-history"},
        {"\\e[B", "ed-next-history"}};
    for (const auto& [key, function] : keys)
        el_set(editor, EL_BIND, key, function, nullptr);
}

InteractiveTerminal::~InteractiveTerminal() {
    history_end(impl_->history_lines);
    el_end(impl_->editor);
}

InteractiveTerminal::Read InteractiveTerminal::read_command(std::string& line) {
    impl_->typed = 0;
    impl_->abandoned = false;
    impl_->tab_line.clear();
    impl_->editing = true;
    int count = 0;
    const char* text = el_gets(impl_->editor, &count);
    impl_->editing = false;
    if (impl_->abandoned) {
        (void)write_all(terminal_out, "^C\n");
        return Read::abandoned;
    }
    if (!text || count <= 0) {
        (void)write_all(terminal_out, "\n");
        return Read::end;
    }
    line.assign(text, static_cast<std::size_t>(count));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.pop_back();
    return Read::line;
}

void InteractiveTerminal::remember(const std::string& line) {
    HistEvent event;
    history(impl_->history_lines, &event, H_ENTER, line.c_str());
}

void InteractiveTerminal::notice(std::string_view line) {
    // In the middle of the guest's bytes, on a raw terminal: as the console's own notices.
    if (impl_->in_console)
        (void)write_all(terminal_out, "\r\n[" + std::string(line) + "]\r\n");
    else
        (void)write_all(terminal_out, (impl_->editing ? "\n" : "") + std::string(line) + "\n");
}

bool InteractiveTerminal::rest(std::chrono::milliseconds time) { return rest_for(time); }

void InteractiveTerminal::write(std::string_view text) { impl_->write_paused(text); }

std::optional<std::string> InteractiveTerminal::ask(const std::string& question) {
    return impl_->answer(question, true);
}

std::optional<std::string> InteractiveTerminal::ask_secret(const std::string& question) {
    return impl_->answer(question, false);
}

void InteractiveTerminal::allow_pauses(bool allowed) {
    impl_->pauses = allowed;
    impl_->quit_output = false;
    impl_->rows_used = 0;
    impl_->page_rows.reset();
}

void InteractiveTerminal::pause_every(std::size_t lines) {
    impl_->page_rows = lines;
    impl_->pauses = impl_->pauses && lines > 0;
}

std::size_t InteractiveTerminal::width() const { return window().ws_col; }

std::size_t InteractiveTerminal::height() const { return window().ws_row; }

Result<void> InteractiveTerminal::run_console(Tree& tree, const control::RunRequest& request,
                                              control::RunReply reply) {
    const TerminalMode mode(raw);
    impl_->in_console = true;
    std::string ahead = impl_->input.take_ahead();
    const auto ended = ConsoleSession(tree, request, {terminal_in, terminal_out, &ahead, "\r\n"})
                           .run(std::move(reply));
    impl_->in_console = false;
    impl_->input.put_back(std::move(ahead));
    return ended;
}

} // namespace lom::shell
