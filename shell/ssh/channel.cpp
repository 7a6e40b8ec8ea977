#include "shell/ssh/channel.h"

#include <libssh/server.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lom::shell {

namespace {

constexpr std::size_t block = 32U << 10U;
constexpr std::size_t most_unread = 4U << 20U; ///< libssh's window is 1.25 MiB
constexpr int control_fd = 3;
constexpr int input_end_fd = 4;

void make_non_blocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// The name goes into a path inside libtinfo.
std::string clean_terminal_type(const std::string& type) {
    constexpr std::size_t longest = 64;
    const bool clean = !type.empty() && type.size() <= longest &&
                       std::all_of(type.begin(), type.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                  (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '_' ||
                                  c == '.';
                       });
    return clean && type.front() != '.' ? type : "dumb";
}

winsize window_of(int columns, int rows) {
    constexpr int largest = 10000; // a client may send anything
    winsize size{};
    size.ws_col = static_cast<unsigned short>(std::clamp(columns, 0, largest));
    size.ws_row = static_cast<unsigned short>(std::clamp(rows, 0, largest));
    return size;
}

const char* signal_name(int number) {
    switch (number) {
    case SIGHUP:
        return "HUP";
    case SIGINT:
        return "INT";
    case SIGKILL:
        return "KILL";
    case SIGSEGV:
        return "SEGV";
    case SIGTERM:
        return "TERM";
    case SIGPIPE:
        return "PIPE";
    default:
        return "ABRT";
    }
}

} // namespace

Channel::Channel(ssh_channel channel) : channel_(channel) {
    callbacks_.userdata = this;
    callbacks_.channel_signal_function = &Channel::on_signal;
    ssh_callbacks_init(&callbacks_);
    ssh_set_channel_callbacks(channel_, &callbacks_);
}

Channel::~Channel() {
    hang_up();
    ssh_remove_channel_callbacks(channel_, &callbacks_);
    ssh_channel_free(channel_);
}

void Channel::hang_up() {
    if (started() && !ended())
        send_signal(process_, SIGHUP);
    terminal_.reset();
    input_.reset();
    outputs_.clear();
    closed_ = true;
}

void Channel::set_terminal(const std::string& type, int columns, int rows) {
    has_terminal_ = true;
    terminal_type_ = clean_terminal_type(type);
    columns_ = columns;
    rows_ = rows;
}

void Channel::resize(int columns, int rows) {
    columns_ = columns;
    rows_ = rows;
    const winsize size = window_of(columns, rows);
    if (terminal_)
        ioctl(terminal_.get(), TIOCSWINSZ, &size);
}

Result<void> Channel::start(const LomPlace& place, control::Client::OpenedSession session,
                            const std::vector<std::string>& arguments) {
    session_ = std::move(session.id);
    SpawnOptions options;
    options.argv = {"lom", "--run-dir", ".", "--control-fd", std::to_string(control_fd)};
    if (has_terminal_)
        options.argv.insert(options.argv.end(), {"--input-end-fd", std::to_string(input_end_fd)});
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.environment = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
    options.fds = {{session.fd.get(), control_fd}};
    options.program_folder = place.program_folder;
    options.working_folder = place.run_dir;
    std::vector<UniqueFd> theirs;
    if (auto opened = has_terminal_ ? open_terminal(options, theirs) : open_pipes(options, theirs);
        !opened)
        return opened;
    const auto process = spawn(options);
    if (!process)
        return process.fault();
    process_ = *process;
    exit_watch_.reset(static_cast<int>(syscall(SYS_pidfd_open, process_.pid, 0)));
    return {};
}

Result<void> Channel::open_terminal(SpawnOptions& options, std::vector<UniqueFd>& theirs) {
    int master = -1;
    int slave = -1;
    const winsize size = window_of(columns_, rows_);
    if (openpty(&master, &slave, nullptr, nullptr, &size) < 0)
        return Fault{FaultKind::unavailable,
                     std::string("No terminal is left: ") + std::strerror(errno)};
    terminal_.reset(master);
    theirs.emplace_back(slave);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    make_non_blocking(master);
    int end[2];
    if (pipe2(end, O_CLOEXEC) < 0)
        return Fault{FaultKind::unavailable,
                     std::string("Too many open files: ") + std::strerror(errno)};
    theirs.emplace_back(end[0]);
    input_end_.reset(end[1]);
    options.fds.emplace_back(end[0], input_end_fd);
    termios mode{};
    tcgetattr(slave, &mode);
    mode.c_iflag |= IUTF8; // so that Backspace takes whole characters
    tcsetattr(slave, TCSANOW, &mode);
    options.controlling_terminal = true;
    options.environment.push_back("TERM=" + terminal_type_);
    options.fds.insert(options.fds.end(),
                       {{slave, STDIN_FILENO}, {slave, STDOUT_FILENO}, {slave, STDERR_FILENO}});
    outputs_.push_back({UniqueFd(fcntl(master, F_DUPFD_CLOEXEC, 0)), {}, false});
    input_.reset(fcntl(master, F_DUPFD_CLOEXEC, 0));
    return {};
}

Result<void> Channel::open_pipes(SpawnOptions& options, std::vector<UniqueFd>& theirs) {
    int in[2];
    int out[2];
    int error[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(error, O_CLOEXEC) < 0)
        return Fault{FaultKind::unavailable,
                     std::string("Too many open files: ") + std::strerror(errno)};
    for (const int fd : {in[0], out[1], error[1]})
        theirs.emplace_back(fd);
    input_.reset(in[1]);
    outputs_.push_back({UniqueFd(out[0]), {}, false});
    outputs_.push_back({UniqueFd(error[0]), {}, true});
    for (const int fd : {in[1], out[0], error[0]})
        make_non_blocking(fd);
    options.fds.insert(options.fds.end(),
                       {{in[0], STDIN_FILENO}, {out[1], STDOUT_FILENO}, {error[1], STDERR_FILENO}});
    return {};
}

void Channel::refuse(const std::string& sentence, int status) {
    const std::string line = sentence + (has_terminal_ ? "\r\n" : "\n");
    ssh_channel_write_stderr(channel_, line.data(), static_cast<std::uint32_t>(line.size()));
    exit_status_ = status;
    close();
}

void Channel::on_signal(ssh_session, ssh_channel, const char* name, void* self) {
    const auto& channel = *static_cast<Channel*>(self);
    constexpr std::pair<const char*, int> allowed[] = {
        {"INT", SIGINT}, {"TERM", SIGTERM}, {"HUP", SIGHUP}};
    for (const auto& [known, number] : allowed)
        if (channel.started() && !channel.ended() && std::strcmp(name, known) == 0)
            send_signal(channel.process_, number);
}

// -- moving bytes

void Channel::add_to(std::vector<pollfd>& entries, bool may_send) const {
    for (const Output& output : outputs_)
        if (output.fd && output.pending.empty() && may_send)
            entries.push_back({output.fd.get(), POLLIN, 0});
    if (input_ && !to_lom_.empty())
        entries.push_back({input_.get(), POLLOUT, 0});
    if (exit_watch_)
        entries.push_back({exit_watch_.get(), POLLIN, 0});
}

void Channel::pump(bool may_send) {
    if (ssh_channel_is_closed(channel_) != 0 && !closed_)
        hang_up();
    if (started() && !ended())
        reap();
    if (closed_ || !started())
        return;
    // Until lom's side is full or libssh has nothing more, neither bytes nor the end of them, which
    // each look at it may bring in: nothing would wake us for what stays.
    do {
        take_input();
        write_input();
    } while (to_lom_.empty() && !client_done_ && ssh_channel_poll(channel_, 0) != 0);
    for (Output& output : outputs_) {
        if (may_send)
            send_output(output);
        if (may_send && output.pending.empty())
            read_output(output);
    }
    const bool drained = std::all_of(outputs_.begin(), outputs_.end(), [](const Output& output) {
        return !output.fd && output.pending.empty();
    });
    if (drained && ended())
        close();
}

void Channel::read_output(Output& output) {
    if (!output.fd)
        return;
    output.pending.resize(block);
    const ssize_t count = read(output.fd.get(), output.pending.data(), block);
    output.pending.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    active_ = active_ || count > 0;
    // A pty gives EIO once its last user is gone.
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        output.fd.reset();
    send_output(output);
}

void Channel::send_output(Output& output) {
    if (output.pending.empty())
        return;
    const std::size_t room = ssh_channel_window_size(channel_);
    const auto length = static_cast<std::uint32_t>(std::min(output.pending.size(), room));
    if (length == 0)
        return;
    const int sent = output.extended
                         ? ssh_channel_write_stderr(channel_, output.pending.data(), length)
                         : ssh_channel_write(channel_, output.pending.data(), length);
    if (sent > 0)
        output.pending.erase(0, static_cast<std::size_t>(sent));
    else if (sent < 0)
        output.pending.clear(); // the client is gone
}

void Channel::take_input() {
    const int waiting = client_done_ ? 0 : ssh_channel_poll(channel_, 0);
    overrun_ = waiting > static_cast<int>(most_unread);
    if (waiting > 0 && to_lom_.empty()) {
        // All of it: each call opens the window anew, however much stays unread.
        to_lom_.resize(static_cast<std::size_t>(waiting));
        const int count = ssh_channel_read_nonblocking(channel_, to_lom_.data(),
                                                       static_cast<std::uint32_t>(waiting), 0);
        to_lom_.resize(static_cast<std::size_t>(std::max(count, 0)));
        taken_ = 0;
        active_ = true;
    }
    if (waiting == SSH_EOF || waiting == SSH_ERROR ||
        (waiting == 0 && ssh_channel_is_eof(channel_) != 0))
        client_done_ = true;
}

void Channel::write_input() {
    if (input_ && !to_lom_.empty()) {
        const ssize_t count =
            ::write(input_.get(), to_lom_.data() + taken_, to_lom_.size() - taken_);
        taken_ += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
        if (taken_ == to_lom_.size())
            to_lom_.clear();
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            input_.reset();
    }
    if (!input_)
        to_lom_.clear(); // lom reads no more
    if (client_done_ && to_lom_.empty())
        end_input();
}

// A pipe ends by closing it, a terminal by closing the pipe beside it: Ctrl-D would be lost, or
// reach the guest, where lom changes the terminal's mode at that moment.
void Channel::end_input() {
    if (has_terminal_)
        input_end_.reset();
    else
        input_.reset();
}

void Channel::reap() {
    int status = 0;
    if (waitpid(process_.pid, &status, WNOHANG) != process_.pid)
        return;
    exit_watch_.reset();
    if (WIFSIGNALED(status))
        exit_signal_ = signal_name(WTERMSIG(status));
    else
        exit_status_ = WEXITSTATUS(status);
}

void Channel::close() {
    if (closed_)
        return;
    closed_ = true;
    ssh_channel_send_eof(channel_);
    if (exit_status_)
        ssh_channel_request_send_exit_status(channel_, *exit_status_);
    else if (!exit_signal_.empty())
        ssh_channel_request_send_exit_signal(channel_, exit_signal_.c_str(), 0, "", "");
    ssh_channel_close(channel_);
}

std::optional<std::string> Channel::take_activity() {
    constexpr auto pause = std::chrono::seconds(10);
    const auto now = std::chrono::steady_clock::now();
    if (!active_ || now < next_activity_)
        return std::nullopt;
    active_ = false;
    next_activity_ = now + pause;
    return session_;
}

bool Channel::finished() const { return closed_ && (!started() || ended()); }

} // namespace lom::shell
