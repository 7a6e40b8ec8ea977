#include "shell/ssh/reception.h"

#include "base/passed_fds.h"
#include "shell/ssh/confinement.h"
#include "shell/ssh/reach.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace lom::shell {

Result<void> Reception::run() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    UniqueFd children(signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
    if (auto limited = limit_reach(place_.program_folder); !limited)
        return limited;
    if (auto confined = confine(); !confined)
        return confined;
    bool over = false;
    bool crashed = false;
    while (!over) {
        std::array<pollfd, 2> entries{pollfd{guests_.get(), POLLIN, 0},
                                      pollfd{children.get(), POLLIN, 0}};
        // After a crash only those are served who were handed over already.
        if (poll(entries.data(), entries.size(), crashed ? 0 : -1) < 0 && errno != EINTR)
            break;
        signalfd_siginfo info{};
        (void)!read(children.get(), &info, sizeof(info));
        crashed = a_child_crashed() || crashed;
        if (entries[0].revents == 0) {
            over = crashed;
            continue;
        }
        auto guest = receive(over);
        if (!guest)
            continue;
        const pid_t child = fork();
        if (child == 0) {
            sigprocmask(SIG_UNBLOCK, &mask, nullptr);
            children.reset();
            guests_.reset();
            return serve(std::move(*guest));
        }
    }
    return {};
}

std::optional<Reception::Guest> Reception::receive(bool& over) const {
    std::array<char, 64> source{};
    auto [count, fds] = receive_with_fds(guests_.get(), source, 2);
    over = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
    if (count <= 0 || fds.size() != 2)
        return std::nullopt;
    return Guest{std::move(fds[0]), std::move(fds[1]),
                 std::string(source.data(), static_cast<std::size_t>(count))};
}

Result<void> Reception::serve(Guest guest) {
    auto client = control::Client::from_fd(std::move(guest.control), ".");
    if (!client)
        return client.fault();
    Connection::Options options;
    options.source = guest.source;
    options.socket = std::move(guest.socket);
    options.bind = settings_.get();
    options.lom = place_;
    return Connection(std::move(options), std::move(*client)).run();
}

bool Reception::a_child_crashed() {
    bool crashed = false;
    int status = 0;
    while (waitpid(-1, &status, WNOHANG) > 0)
        crashed = crashed || (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL &&
                              WTERMSIG(status) != SIGTERM);
    return crashed;
}

} // namespace lom::shell
