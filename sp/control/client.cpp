#include "sp/control/client.h"

#include "base/passed_fds.h"
#include "base/stream.h"
#include "sp/control/wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <thread>

namespace lom::control {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// Longer than any verb waits inside lomd: a ping gives up after 10 s.
constexpr auto call_limit = 60s;

Fault gone() {
    return {FaultKind::unavailable, "The service processor does not answer; is lomd running?"};
}

} // namespace

struct Client::Impl {
    UniqueFd socket;
    std::string run_dir;
    Hello hello;
    std::int64_t next_id = 1;

    struct Answer {
        std::string json;
        UniqueFd fd;
    };

    bool wait(short events, Clock::time_point deadline) const {
        for (;;) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
            pollfd entry{socket.get(), events, 0};
            const int ready = poll(&entry, 1, static_cast<int>(std::max<long>(left.count(), 0)));
            if (ready > 0)
                return true;
            if (ready == 0 || errno != EINTR)
                return false;
        }
    }

    bool send_all(std::string_view bytes, Clock::time_point deadline) const {
        while (!bytes.empty()) {
            const ssize_t count =
                ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count > 0)
                bytes.remove_prefix(static_cast<std::size_t>(count));
            else if ((errno != EAGAIN && errno != EINTR) || !wait(POLLOUT, deadline))
                return false;
        }
        return true;
    }

    /// One recvmsg; a descriptor that comes along lands in `fd`. False at the end of the stream.
    bool receive(FrameReader& reader, UniqueFd& fd) const {
        std::array<char, 16384> buffer; // NOLINT: filled by recvmsg
        auto [count, fds] = receive_with_fds(socket.get(), buffer, 1);
        if (count < 0)
            return errno == EAGAIN || errno == EINTR;
        if (!fds.empty())
            fd = std::move(fds.front());
        return count > 0 &&
               reader.feed(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
    }

    Result<Answer> call(Request request, Clock::duration limit = call_limit) {
        if (!socket)
            return gone();
        request.id = next_id++;
        const auto deadline = Clock::now() + limit;
        FrameReader reader(longest_reply);
        Answer answer;
        bool alive = send_all(frame(encode(request)), deadline);
        while (alive) {
            if (auto message = reader.next()) {
                answer.json = std::move(*message);
                return answer;
            }
            alive = wait(POLLIN, deadline) && receive(reader, answer.fd);
        }
        socket.reset(); // out of step with the other side: never used again
        return gone();
    }

    Result<void> greet(Request request) {
        request.version = protocol_version;
        const auto answer = call(std::move(request), 10s);
        if (!answer)
            return answer.fault();
        auto decoded = decode_hello(answer->json);
        if (!decoded)
            return decoded.fault();
        hello = std::move(*decoded);
        return {};
    }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect_local(const std::string& run_dir) {
    auto impl = std::make_unique<Impl>();
    impl->run_dir = run_dir;
    auto socket = connect_unix(run_dir + "/control.sock");
    if (!socket)
        return Fault{FaultKind::unavailable,
                     "No service processor answers at " + run_dir +
                         "/control.sock; start lomd, or give its --run-dir."};
    impl->socket = std::move(*socket);
    if (const auto greeted = impl->greet({.op = "hello", .type = "local"}); !greeted)
        return greeted.fault();
    return Client(std::move(impl));
}

Result<Client> Client::from_fd(UniqueFd fd, const std::string& run_dir) {
    auto impl = std::make_unique<Impl>();
    impl->run_dir = run_dir;
    impl->socket = std::move(fd);
    if (const auto greeted = impl->greet({.op = "hello"}); !greeted)
        return greeted.fault();
    return Client(std::move(impl));
}

const Hello& Client::hello() const { return impl_->hello; }

int Client::fd() const { return impl_->socket.get(); }

Result<void> Client::resume(std::chrono::milliseconds limit) {
    if (impl_->hello.ticket.empty())
        return gone();
    const auto deadline = Clock::now() + limit;
    Fault last = gone();
    while (Clock::now() < deadline) {
        if (auto socket = connect_unix(impl_->run_dir + "/control.sock")) {
            impl_->socket = std::move(*socket);
            const auto greeted = impl_->greet({.op = "resume", .ticket = impl_->hello.ticket});
            if (greeted || greeted.fault().kind == FaultKind::denied)
                return greeted; // denied: the session has ended, trying again will not help
            last = greeted.fault();
        }
        std::this_thread::sleep_for(50ms); // between attempts; the deadline bounds them
    }
    return last;
}

Result<Hello> Client::authenticate(const std::string& username, const std::string& password,
                                   const std::string& source) {
    const auto answer = impl_->call(
        {.op = "authenticate", .username = username, .password = password, .source = source});
    if (!answer)
        return answer.fault();
    auto hello = decode_hello(answer->json);
    if (hello)
        impl_->hello = *hello;
    return hello;
}

Result<void> Client::would_accept(const std::string& username, const std::string& key,
                                  const std::string& source) {
    const auto answer =
        impl_->call({.op = "authenticate", .username = username, .source = source, .key = key});
    return answer ? decode_done(answer->json) : Result<void>(answer.fault());
}

Result<Hello> Client::authenticate_key(const std::string& username, const std::string& key,
                                       const std::string& signed_data, const std::string& signature,
                                       const std::string& source) {
    const auto answer = impl_->call({.op = "authenticate",
                                     .username = username,
                                     .source = source,
                                     .key = key,
                                     .signed_data = signed_data,
                                     .signature = signature});
    if (!answer)
        return answer.fault();
    auto hello = decode_hello(answer->json);
    if (hello)
        impl_->hello = *hello;
    return hello;
}

Result<Client::OpenedSession> Client::open_session(const std::string& type) {
    auto answer = impl_->call({.op = "open_session", .type = type});
    if (!answer)
        return answer.fault();
    const auto hello = decode_hello(answer->json);
    if (!hello)
        return hello.fault();
    if (!answer->fd)
        return Fault{FaultKind::internal, "The service processor passed no descriptor."};
    return OpenedSession{std::move(answer->fd), hello->session};
}

Result<void> Client::note_activity(const std::string& session) {
    const auto answer = impl_->call({.op = "active", .session = session});
    return answer ? decode_done(answer->json) : Result<void>(answer.fault());
}

Result<TargetView> Client::show(const std::string& target, int depth) {
    const auto answer = impl_->call({.op = "show", .target = target, .depth = depth});
    return answer ? decode_view(answer->json) : Result<TargetView>(answer.fault());
}

Result<TargetDescription> Client::describe(const std::string& target) {
    const auto answer = impl_->call({.op = "describe", .target = target});
    return answer ? decode_description(answer->json) : Result<TargetDescription>(answer.fault());
}

Result<SetReply> Client::set(const std::string& target, const std::string& property,
                             const std::string& value) {
    const auto answer =
        impl_->call({.op = "set", .target = target, .property = property, .value = value});
    return answer ? decode_set(answer->json) : Result<SetReply>(answer.fault());
}

Result<RunReply> Client::run(const RunRequest& request) {
    auto answer = impl_->call({.op = "run",
                               .target = request.target,
                               .verb = request.verb,
                               .force = request.force,
                               .properties = request.properties,
                               .console_offset = request.console_offset,
                               .resumed = request.resumed,
                               .may_wait = request.may_wait});
    if (!answer)
        return answer.fault();
    auto reply = decode_run(answer->json);
    if (reply)
        reply->fd = std::move(answer->fd);
    return reply;
}

} // namespace lom::control
