#include "kvms/readers/reader.h"

#include "base/json_fields.h"
#include "base/process.h"
#include "base/sanitized.h"
#include "kvms/media/reader_wire.h"

#include <boost/json.hpp>

#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace json = boost::json;

namespace lom::readers {

namespace {

constexpr int link = STDIN_FILENO;
constexpr rlim_t most_memory = rlim_t{512} << 20U;

Result<void> become_nobody() {
    if (!has_capability(CAP_SETUID))
        return {};
    const passwd* nobody = getpwnam("nobody");
    if (nobody == nullptr || prctl(PR_SET_KEEPCAPS, 1) != 0 ||
        setresgid(nobody->pw_gid, nobody->pw_gid, nobody->pw_gid) != 0 ||
        syscall(SYS_setgroups, 0, nullptr) != 0 ||
        setresuid(nobody->pw_uid, nobody->pw_uid, nobody->pw_uid) != 0)
        return Fault{FaultKind::internal, "The reader cannot become the user nobody."};
    return {};
}

bool keep_capabilities(std::span<const int> keep) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    if (syscall(SYS_capget, &header, sets.data()) != 0)
        return false;
    std::array<__user_cap_data_struct, 2> wanted{};
    for (const int capability : keep) {
        const auto index = static_cast<std::size_t>(capability) / 32;
        const std::uint32_t bit = 1U << (static_cast<unsigned>(capability) % 32U);
        wanted[index].permitted |= sets[index].permitted & bit;
        wanted[index].effective |= sets[index].permitted & bit;
    }
    return syscall(SYS_capset, &header, wanted.data()) == 0;
}

bool say_line(const json::object& object) { return send_all(json::serialize(object) + "\n"); }

} // namespace

Result<void> confine(std::span<const int> keep) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    if (const auto done = become_nobody(); !done)
        return done.fault();
    prctl(PR_SET_PDEATHSIG, SIGKILL); // the change of user has cleared it
    const rlimit memory{most_memory, most_memory};
    const rlimit none{0, 0};
    if (!keep_capabilities(keep) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        setrlimit(RLIMIT_CORE, &none) != 0 || (!sanitized && setrlimit(RLIMIT_DATA, &memory) != 0))
        return Fault{FaultKind::internal, "The reader cannot be confined."};
    return {};
}

std::optional<Task> receive_task() {
    std::string line;
    for (char c = 0; receive_all({&c, 1}) && c != '\n'; line += c)
        if (line.size() >= media::longest_reader_line)
            return std::nullopt;
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object())
        return std::nullopt;
    const json::object& said = value.get_object();
    return Task{fields::text(said, "address"), fields::number<std::uint16_t>(said, "port"),
                fields::text(said, "path"), fields::text(said, "username"),
                fields::text(said, "password")};
}

bool say_opened(const media::ImageFacts& facts) {
    return say_line({{"size", facts.size}, {"modified", facts.modified}});
}

void say(const media::Problem& problem) {
    say_line({{"status", word(problem.status)},
              {"detail", problem.detail},
              {"transient", problem.transient}});
}

bool receive_all(std::span<char> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = recv(link, bytes.data(), bytes.size(), 0);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

bool send_all(std::span<const char> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = send(link, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return true;
}

} // namespace lom::readers
