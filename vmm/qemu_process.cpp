#include "vmm/qemu_process.h"

#include "base/stream.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <sstream>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto exit_follows_within = 300ms; // QEMU's monitor closes a moment before it is gone
constexpr auto retry_pause = 5s;
constexpr auto contact_limit = 2s;
constexpr std::string_view trace = "qemu_system_shutdown_request reason=";

// QEMU's ShutdownCause (qapi/run-state.json), by its place in the list.
constexpr int traced_host_signal = 4;
constexpr int traced_guest_shutdown = 6;

} // namespace

QemuProcess::QemuProcess(Loop& loop, ProcessId process, std::string monitor,
                         std::chrono::milliseconds limit, Handlers handlers)
    : loop_(loop), process_(process), monitor_(std::move(monitor)), handlers_(std::move(handlers)) {
    exit_watch_ = loop_.on_exit(process_.pid, [this](int wait_status) { on_exit(wait_status); });
    connect(limit);
}

void QemuProcess::connect(std::chrono::milliseconds limit) {
    qmp_ = std::make_unique<QmpClient>(
        loop_, monitor_, limit,
        QmpClient::Handlers{
            [this] { handlers_.ready(); },
            [this](const std::string& name, const QmpFields& data) { handlers_.event(name, data); },
            [this](const std::string& reason) { on_closed(reason); }});
}

void QemuProcess::on_ready() {
    lost_ = false;
    ending_ ? quit() : handlers_.ready();
}

void QemuProcess::on_closed(const std::string& reason) {
    contact_timer_ = loop_.after(exit_follows_within, [this, reason] {
        contact_timer_ = loop_.after(retry_pause, [this] { connect(contact_limit); });
        lost_ = true;
        handlers_.lost(reason);
    });
}

void QemuProcess::on_exit(int wait_status) {
    contact_timer_.reset();
    kill_timer_.reset();
    if (qmp_)
        qmp_->close("it has ended"); // whoever waits for an answer is told
    contact_timer_.reset();
    const auto ended = std::move(handlers_.ended);
    ended(wait_status);
}

void QemuProcess::execute(const std::string& command, const std::string& arguments,
                          QmpClient::Answer answer) {
    if (!answers())
        return answer(Fault{FaultKind::unavailable, "QEMU does not answer now."});
    qmp_->execute(command, arguments, std::move(answer));
}

void QemuProcess::end() {
    if (std::exchange(ending_, true))
        return;
    if (answers())
        quit();
    kill_timer_ = loop_.after(lost_ ? 0ms : std::chrono::milliseconds(quit_limit),
                              [this] { send_signal(process_, SIGKILL); });
}

void QemuProcess::quit() {
    qmp_->execute("quit", "", [](const Result<QmpFields>&) {});
}

ShutdownCause shutdown_cause(const std::string& log) {
    const std::size_t at = log.rfind(trace);
    if (at == std::string::npos)
        return ShutdownCause::guest_reset;
    switch (std::atoi(log.c_str() + at + trace.size())) {
    case traced_guest_shutdown:
        return ShutdownCause::guest_shutdown;
    case traced_host_signal:
        return ShutdownCause::signal;
    default:
        return ShutdownCause::unknown;
    }
}

std::string last_words(const std::string& log) {
    std::istringstream lines(log);
    std::string line, last;
    while (std::getline(lines, line))
        if (!line.empty() && line.find(trace) == std::string::npos)
            last = line;
    return last.substr(0, 500);
}

std::string how_it_ended(int wait_status) {
    if (wait_status == -1)
        return "";
    if (WIFSIGNALED(wait_status))
        return std::string(" (signal ") + strsignal(WTERMSIG(wait_status)) + ")";
    const int code = WEXITSTATUS(wait_status);
    return code == 0 ? "" : " (exit status " + std::to_string(code) + ")";
}

} // namespace lom::vmm
