#include "sp/control/server.h"

#include "base/base64.h"
#include "base/stream.h"
#include "sp/control/views.h"
#include "sp/control/wire.h"

#include <sys/socket.h>
#include <unistd.h>

namespace lom::control {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_connections = 4096;
// A stranger's connection that says nothing; a door may wait for its user longer (login grace).
constexpr auto stranger_limit = 10s;
constexpr auto door_limit = 150s;
constexpr int most_failures = 3; // whatever the door thinks

constexpr Roles all_roles =
    Role::admin | Role::user | Role::console | Role::reset | Role::read_only | Role::service;

Fault denied(const std::string& message) { return {FaultKind::denied, message}; }

} // namespace

struct Server::Connection : std::enable_shared_from_this<Connection> {
    Connection(Server& owner, std::uint64_t number) : server(owner), id(number) {}
    ~Connection() {
        if (subscription != 0)
            server.context_.events.unsubscribe(subscription);
        unbind();
    }

    void open(UniqueFd fd, std::chrono::milliseconds login_limit) {
        stream = std::make_unique<Stream>(
            server.context_.loop, std::move(fd),
            Stream::Handlers{
                [this](std::string_view bytes, std::vector<UniqueFd>) { on_data(bytes); },
                [this](const std::string&) { server.drop(id); }},
            longest_reply + (1U << 20U));
        login_timer = server.context_.loop.after(login_limit, [this] { server.drop(id); });
    }

    void on_data(std::string_view bytes) {
        const auto keep = shared_from_this();
        if (!reader.feed(bytes))
            return server.drop(id);
        serve_next();
    }

    /// One request at a time: the next one is looked at when the last one is answered.
    void serve_next() {
        const auto keep = shared_from_this();
        while (!busy && stream) {
            const auto message = reader.next();
            if (!message)
                return;
            const auto request = decode_request(*message);
            busy = true;
            stream->pause(true);
            if (request)
                handle(*request);
            else
                answer(encode_fault(0, request.fault()));
        }
    }

    void answer(const std::string& json, UniqueFd fd = {}) {
        busy = false;
        if (!stream)
            return;
        std::vector<UniqueFd> fds;
        if (fd)
            fds.push_back(std::move(fd));
        stream->send(frame(json), std::move(fds));
        stream->pause(false);
    }

    /// For answers that come later: the connection may be gone by then.
    template <typename Reply>
    std::function<void(Result<Reply>)> reply_to(std::int64_t request_id) {
        return [weak = weak_from_this(), request_id](Result<Reply> result) {
            const auto self = weak.lock();
            if (!self)
                return;
            if (!result)
                self->answer(encode_fault(request_id, result.fault()));
            else
                self->send_reply(request_id, *result);
            self->serve_next();
        };
    }

    void send_reply(std::int64_t request_id, const Hello& hello_out) {
        answer(encode_reply(request_id, hello_out));
    }
    void send_reply(std::int64_t request_id, const Tree::SetAnswer& set) {
        answer(encode_reply(request_id, SetReply{set.property, set.text, set.message, set.failed}));
    }
    void send_reply(std::int64_t request_id, VerbOutcome& outcome) {
        RunReply reply;
        reply.message = std::move(outcome.message);
        reply.waits_for = std::move(outcome.waits_for);
        reply.stream = std::move(outcome.stream);
        reply.escape = std::move(outcome.escape);
        answer(encode_reply(request_id, reply), std::move(outcome.fd));
    }

    void handle(const Request& request) {
        if (request.op == "hello")
            return hello(request);
        if (request.op == "resume")
            return resume(request);
        if (request.op == "authenticate")
            return authenticate(request);
        const auto caller = caller_now();
        if (!caller)
            return answer(encode_fault(request.id, caller.fault()));
        server.context_.sessions.touch(session_id);
        if (request.op == "active")
            return note_activity(request, *caller);
        if (request.op == "open_session")
            return open_session(request, *caller);
        if (request.op == "events")
            return events(request);
        if (request.op == "log_out")
            return log_out(request);
        if (request.op == "show")
            return show(request, *caller);
        if (request.op == "describe")
            return describe(request);
        if (request.op == "set")
            return server.context_.tree.set(*caller, request.target, request.property,
                                            request.value, reply_to<Tree::SetAnswer>(request.id));
        if (request.op == "run")
            return run(request, *caller);
        answer(
            encode_fault(request.id, {FaultKind::usage, "Unknown request '" + request.op + "'."}));
    }

    // -- who it is

    void hello(const Request& request) {
        if (request.version != protocol_version)
            return answer(encode_fault(
                request.id, {FaultKind::usage, "This lomd speaks another version of the control "
                                               "protocol; use the lom of the same version."}));
        if (request.type == "local" && session_id == 0) {
            if (!local_administrator())
                return answer(encode_fault(
                    request.id, denied("Only root and lomd's own user may use lom on this machine; "
                                       "log in with ssh instead.")));
            bind_new("root", "local", "local");
        }
        if (request.type == "web" && session_id == 0) {
            if (!server.context_.is_web_door(request.ticket))
                return answer(encode_fault(request.id, denied("Only lom-web is a web door.")));
            is_door = true;
            session_type = "web";
            login_timer = server.context_.loop.after(door_limit,
                                                     [this, number = id] { server.drop(number); });
        }
        answer(encode_reply(request.id, current_hello()));
    }

    bool local_administrator() const {
        ucred peer{};
        socklen_t size = sizeof(peer);
        return !is_door && stream &&
               getsockopt(stream->fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
               (peer.uid == 0 || peer.uid == geteuid());
    }

    void resume(const Request& request) {
        const auto session = server.context_.sessions.find_ticket(request.ticket);
        if (!session || session_id != 0)
            return answer(encode_fault(request.id, denied("The session has ended; log in again.")));
        is_door = session->type == "ssh";
        bind(session->id);
        answer(encode_reply(request.id, current_hello()));
    }

    void authenticate(const Request& request) {
        if (!is_door || session_id != 0)
            return answer(
                encode_fault(request.id, denied("This connection cannot log anybody in.")));
        if (failures >= most_failures)
            return answer(encode_fault(request.id, denied("Too many tries; connect again.")));
        if (!request.key.empty())
            return authenticate_key(request);
        server.context_.accounts.verify(request.username, request.password, source_of(request),
                                        login_of(request));
    }

    void authenticate_key(const Request& request) {
        Accounts& accounts = server.context_.accounts;
        const auto blob = from_base64(request.key);
        const auto key = blob ? SshPublicKey::from_blob(*blob) : Fault{FaultKind::denied, ""};
        if (request.signature.empty()) // nothing was tried yet, so nothing is counted
            return answer(key && accounts.would_accept(request.username, *key)
                              ? encode_reply(request.id)
                              : encode_fault(request.id, denied("Permission denied")));
        accounts.verify(request.username, key ? *key : SshPublicKey(),
                        {from_base64(request.signed_data).value_or(""),
                         from_base64(request.signature).value_or("")},
                        source_of(request), login_of(request));
    }

    /// A taken-over lom-ssh must not pass for a client elsewhere.
    const std::string& source_of(const Request& request) const {
        return door.source.empty() ? request.source : door.source;
    }

    /// What follows from a verdict, once it is there.
    Accounts::Verified login_of(const Request& request) {
        // On record even when whoever tried did not wait for the answer.
        return [&owner = server, weak = weak_from_this(), done = reply_to<Hello>(request.id),
                username = request.username,
                source = source_of(request)](const Accounts::Verdict& verdict) {
            const auto& account = verdict.account;
            owner.context_.login({username, account ? account->roles : Roles(), source, ""},
                                 verdict);
            const auto self = weak.lock();
            if (!self)
                return;
            if (!account) {
                self->failures += verdict.guess ? 1 : 0;
                return done(denied("Permission denied"));
            }
            self->bind_new(account->name, source, self->session_type);
            if (self->door.logged_in)
                self->door.logged_in();
            done(self->current_hello());
        };
    }

    void bind_new(const std::string& account, const std::string& source, const std::string& type) {
        bind(server.context_.sessions.begin(account, source, type).id);
    }

    void bind(std::int64_t session) {
        session_id = session;
        server.context_.sessions.hold(session);
        login_timer.reset();
    }

    void unbind() {
        if (session_id != 0)
            server.context_.sessions.release(std::exchange(session_id, 0));
    }

    std::string prompt() const {
        constexpr std::string_view token = "<HOSTNAME>";
        std::string text = *server.context_.doors.cli_prompt;
        if (const std::size_t at = text.find(token); at != std::string::npos)
            text.replace(at, token.size(), server.context_.hostname());
        return text.empty() ? "-> " : text;
    }

    Hello current_hello() const {
        Hello hello_out{.product = "OpenLOM",
                        .version = LOM_VERSION,
                        .hostname = server.context_.hostname(),
                        .account = {},
                        .roles = {},
                        .prompt = prompt(),
                        .ticket = {},
                        .session = {},
                        .connect_message = *server.context_.doors.connect_message,
                        .login_message = *server.context_.doors.login_message,
                        .login_message_acceptance =
                            *server.context_.doors.login_message_acceptance == Switch::enabled};
        if (const auto session = server.context_.sessions.find(session_id)) {
            hello_out.account = session->account;
            hello_out.ticket = session->ticket;
            hello_out.session = std::to_string(session->id);
            if (const auto caller = caller_now())
                hello_out.roles = caller->roles.letters();
        }
        return hello_out;
    }

    /// Looked up anew for each request: a changed role counts at once.
    Result<Caller> caller_now() const {
        const auto session = server.context_.sessions.find(session_id);
        if (!session)
            return denied("Log in first.");
        Caller caller{session->account, {}, session->source, std::to_string(session->id)};
        if (session->type == "local") {
            caller.roles = all_roles;
            return caller;
        }
        const auto account = server.context_.accounts.find(session->account);
        if (!account)
            return denied("The account does not exist any more.");
        caller.roles = account->roles;
        return caller;
    }

    // -- what it wants

    /// The door's person leaves, before the session would end by itself.
    void log_out(const Request& request) {
        const std::int64_t mine = session_id;
        answer(encode_reply(request.id));
        server.context_.sessions.end(mine);
    }

    void events(const Request& request) {
        if (subscription != 0)
            server.context_.events.unsubscribe(std::exchange(subscription, 0));
        auto fd = server.context_.events.subscribe(subscription);
        if (!fd)
            return answer(encode_fault(request.id, fd.fault()));
        answer(encode_reply(request.id), std::move(*fd));
    }

    void open_session(const Request& request, const Caller& caller) {
        if (!is_door || (request.type != "shell" && request.type != "exec" &&
                         request.type != "screen" && request.type != "sftp"))
            return answer(
                encode_fault(request.id, denied("This connection cannot open sessions.")));
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            return answer(encode_fault(request.id, {FaultKind::internal, "Too many open files."}));
        UniqueFd theirs(ends[1]);
        Connection& opened = server.adopt(UniqueFd(ends[0]));
        opened.is_session = true;
        opened.bind_new(caller.account, caller.source, request.type);
        answer(encode_reply(request.id, opened.current_hello()), std::move(theirs));
    }

    /// A door says that somebody is there: one's own sessions only.
    void note_activity(const Request& request, const Caller& caller) {
        const auto named = std::strtoll(request.session.c_str(), nullptr, 10);
        const auto session = server.context_.sessions.find(named);
        if (!session || session->account != caller.account)
            return answer(encode_fault(request.id, denied("That is not a session of yours.")));
        server.context_.sessions.touch(named);
        answer(encode_reply(request.id));
    }

    void show(const Request& request, const Caller& caller) {
        const auto found = server.context_.tree.find(request.target);
        if (!found || !found->target->refresh())
            return show_now(request, caller);
        found->target->refresh()([weak = weak_from_this(), keep = found->target, request, caller] {
            const auto self = weak.lock();
            if (!self)
                return;
            self->show_now(request, caller);
            self->serve_next();
        });
    }

    void show_now(const Request& request, const Caller& caller) {
        const auto view = view_of(server.context_.tree, caller, request.target, request.depth);
        if (!view)
            return answer(encode_fault(request.id, view.fault()));
        std::string json = encode_reply(request.id, *view);
        if (json.size() > longest_reply)
            json = encode_fault(request.id, {FaultKind::unavailable,
                                             "The answer is too long; show a smaller part."});
        answer(json);
    }

    void describe(const Request& request) {
        const auto description = describe_target(server.context_.tree, request.target);
        answer(description ? encode_reply(request.id, *description)
                           : encode_fault(request.id, description.fault()));
    }

    void run(const Request& request, const Caller& caller) {
        VerbCall call;
        call.caller = caller;
        call.force = request.force;
        call.console_offset = request.console_offset;
        call.resumed = request.resumed;
        call.may_wait = request.may_wait;
        server.context_.tree.run(std::move(call), request.target, request.verb, request.properties,
                                 reply_to<VerbOutcome>(request.id));
    }

    Server& server;
    std::uint64_t id;
    std::unique_ptr<Stream> stream;
    FrameReader reader{longest_request};
    Loop::Handle login_timer;
    std::int64_t session_id = 0;
    DoorClient door;
    std::string session_type = "ssh"; ///< of the session that `authenticate` begins
    std::uint64_t subscription = 0;   ///< to events
    int failures = 0;                 ///< to log in
    bool is_door = false;             ///< may authenticate people and open sessions for them
    bool is_session = false;
    bool busy = false;
};

Server::Server(Context context) : context_(std::move(context)) {
    context_.sessions.on_end([this](std::int64_t session) {
        std::vector<std::uint64_t> ids;
        for (const auto& [id, connection] : connections_)
            if (connection->session_id == session)
                ids.push_back(id);
        for (const std::uint64_t id : ids) {
            connections_[id]->session_id = 0; // it is gone already
            drop(id);
        }
    });
}

Server::~Server() {
    // lomd stops, the sessions do not: they are resumed by the next lomd.
    for (const auto& [id, connection] : connections_)
        connection->session_id = 0;
}

Result<void> Server::listen(const std::string& path) {
    auto listener = listen_unix(path, 0666);
    if (!listener)
        return listener.fault();
    listener_ = std::move(*listener);
    accept_watch_ =
        context_.loop.watch(listener_.get(), Loop::Wait::readable, [this] { accept(); });
    return {};
}

void Server::accept() {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd && connections_.size() < most_connections)
        adopt(std::move(fd));
}

Server::Connection& Server::adopt(UniqueFd fd) {
    const std::uint64_t id = next_id_++;
    const auto connection = std::make_shared<Connection>(*this, id);
    connections_[id] = connection;
    connection->open(std::move(fd), stranger_limit);
    return *connection;
}

Result<UniqueFd> Server::door_descriptor(DoorClient client) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd theirs(ends[1]);
    Connection& connection = adopt(UniqueFd(ends[0]));
    connection.is_door = true;
    connection.door = std::move(client);
    connection.login_timer =
        context_.loop.after(door_limit, [this, id = connection.id] { drop(id); });
    return theirs;
}

void Server::drop(std::uint64_t id) {
    const auto found = connections_.find(id);
    if (found == connections_.end())
        return;
    const auto connection = std::move(found->second);
    connections_.erase(found);
    connection->stream.reset();
    connection->login_timer.reset();
    connection->unbind();
    if (connection->door.closed)
        connection->door.closed();
}

} // namespace lom::control
