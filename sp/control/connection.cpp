#include "sp/control/connection.h"

#include "sp/control/views.h"

#include <sys/socket.h>

#include <cstdlib>

namespace lom::control {

namespace {

Fault denied(const std::string& message) { return {FaultKind::denied, message}; }

} // namespace

Server::Connection::~Connection() {
    if (subscription != 0)
        server.context_.events.unsubscribe(subscription);
    unbind();
}

void Server::Connection::open(UniqueFd fd, std::chrono::milliseconds login_limit) {
    stream = std::make_unique<Stream>(
        server.context_.loop, std::move(fd),
        Stream::Handlers{[this](std::string_view bytes, std::vector<UniqueFd>) { on_data(bytes); },
                         [this](const std::string&) { server.drop(id); }},
        longest_reply + (1U << 20U));
    login_timer = server.context_.loop.after(login_limit, [this] { server.drop(id); });
}

void Server::Connection::on_data(std::string_view bytes) {
    const auto keep = shared_from_this();
    if (!reader.feed(bytes))
        return server.drop(id);
    serve_next();
}

void Server::Connection::serve_next() {
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

void Server::Connection::answer(const std::string& json, UniqueFd fd) {
    busy = false;
    if (!stream)
        return;
    std::vector<UniqueFd> fds;
    if (fd)
        fds.push_back(std::move(fd));
    stream->send(frame(json), std::move(fds));
    stream->pause(false);
}

void Server::Connection::send_reply(std::int64_t request_id, const Hello& hello_out) {
    answer(encode_reply(request_id, hello_out));
}

void Server::Connection::send_reply(std::int64_t request_id, const Tree::SetAnswer& set) {
    answer(encode_reply(request_id, SetReply{set.property, set.text, set.message, set.failed}));
}

void Server::Connection::send_reply(std::int64_t request_id, VerbOutcome& outcome) {
    RunReply reply;
    reply.message = std::move(outcome.message);
    reply.waits_for = std::move(outcome.waits_for);
    reply.stream = std::move(outcome.stream);
    reply.escape = std::move(outcome.escape);
    answer(encode_reply(request_id, reply), std::move(outcome.fd));
}

void Server::Connection::handle(const Request& request) {
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
        return server.context_.tree.set(*caller, request.target, request.property, request.value,
                                        reply_to<Tree::SetAnswer>(request.id));
    if (request.op == "run")
        return run(request, *caller);
    answer(encode_fault(request.id, {FaultKind::usage, "Unknown request '" + request.op + "'."}));
}

// -- what it wants

void Server::Connection::log_out(const Request& request) {
    const std::int64_t mine = session_id;
    answer(encode_reply(request.id));
    server.context_.sessions.end(mine);
}

void Server::Connection::events(const Request& request) {
    if (subscription != 0)
        server.context_.events.unsubscribe(std::exchange(subscription, 0));
    auto fd = server.context_.events.subscribe(subscription);
    if (!fd)
        return answer(encode_fault(request.id, fd.fault()));
    answer(encode_reply(request.id), std::move(*fd));
}

void Server::Connection::open_session(const Request& request, const Caller& caller) {
    if (!is_door || (request.type != "shell" && request.type != "exec" &&
                     request.type != "screen" && request.type != "sftp"))
        return answer(encode_fault(request.id, denied("This connection cannot open sessions.")));
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return answer(encode_fault(request.id, {FaultKind::internal, "Too many open files."}));
    UniqueFd theirs(ends[1]);
    Connection& opened = server.adopt(UniqueFd(ends[0]));
    opened.is_session = true;
    opened.bind_new(caller.account, caller.source, request.type);
    answer(encode_reply(request.id, opened.current_hello()), std::move(theirs));
}

void Server::Connection::note_activity(const Request& request, const Caller& caller) {
    const auto named = std::strtoll(request.session.c_str(), nullptr, 10);
    const auto session = server.context_.sessions.find(named);
    if (!session || session->account != caller.account)
        return answer(encode_fault(request.id, denied("That is not a session of yours.")));
    server.context_.sessions.touch(named);
    answer(encode_reply(request.id));
}

void Server::Connection::show(const Request& request, const Caller& caller) {
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

void Server::Connection::show_now(const Request& request, const Caller& caller) {
    const auto view = view_of(server.context_.tree, caller, request.target, request.depth);
    if (!view)
        return answer(encode_fault(request.id, view.fault()));
    std::string json = encode_reply(request.id, *view);
    if (json.size() > longest_reply)
        json = encode_fault(
            request.id, {FaultKind::unavailable, "The answer is too long; show a smaller part."});
    answer(json);
}

void Server::Connection::describe(const Request& request) {
    const auto description = describe_target(server.context_.tree, request.target);
    answer(description ? encode_reply(request.id, *description)
                       : encode_fault(request.id, description.fault()));
}

void Server::Connection::run(const Request& request, const Caller& caller) {
    VerbCall call;
    call.caller = caller;
    call.force = request.force;
    call.console_offset = request.console_offset;
    call.resumed = request.resumed;
    call.may_wait = request.may_wait;
    server.context_.tree.run(std::move(call), request.target, request.verb, request.properties,
                             reply_to<VerbOutcome>(request.id));
}

} // namespace lom::control
