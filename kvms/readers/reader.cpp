#include "kvms/readers/reader.h"

#include "base/json_fields.h"
#include "base/sanitized.h"
#include "kvms/media/confinement.h"
#include "kvms/media/sources/reader_wire.h"

#include <boost/json.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>

namespace json = boost::json;

namespace lom::readers {

namespace {

constexpr int link = STDIN_FILENO;
constexpr rlim_t most_memory = rlim_t{512} << 20U;

bool say_line(const json::object& object) { return send_all(json::serialize(object) + "\n"); }

} // namespace

Result<void> confine(bool low_ports) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    const rlimit memory{most_memory, most_memory};
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || (!sanitized && setrlimit(RLIMIT_DATA, &memory) != 0))
        return Fault{FaultKind::internal, "The reader cannot be limited."};
    const auto holds = media::confine({.low_ports = low_ports, .with_parent = true});
    return holds ? Result<void>() : holds.fault();
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
