// How a connection becomes somebody's: the local administrator, a resumed session, a password or a
// key that lomd itself has checked.
#include "sp/control/connection.h"

#include "base/base64.h"

#include <sys/socket.h>
#include <unistd.h>

namespace lom::control {

namespace {

constexpr int most_failures = 3; // whatever the door thinks
constexpr Roles all_roles =
    Role::admin | Role::user | Role::console | Role::reset | Role::read_only | Role::service;

Fault denied(const std::string& message) { return {FaultKind::denied, message}; }

} // namespace

void Server::Connection::hello(const Request& request) {
    if (request.version != protocol_version)
        return answer(encode_fault(request.id, {FaultKind::usage,
                                                "This lomd speaks another version of the control "
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
        login_timer =
            server.context_.loop.after(door_limit, [this, number = id] { server.drop(number); });
    }
    answer(encode_reply(request.id, current_hello()));
}

bool Server::Connection::local_administrator() const {
    ucred peer{};
    socklen_t size = sizeof(peer);
    return !is_door && stream &&
           getsockopt(stream->fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

void Server::Connection::resume(const Request& request) {
    const auto session = server.context_.sessions.find_ticket(request.ticket);
    if (!session || session_id != 0)
        return answer(encode_fault(request.id, denied("The session has ended; log in again.")));
    is_door = session->type == "ssh";
    bind(session->id);
    answer(encode_reply(request.id, current_hello()));
}

void Server::Connection::authenticate(const Request& request) {
    if (!is_door || session_id != 0)
        return answer(encode_fault(request.id, denied("This connection cannot log anybody in.")));
    if (failures >= most_failures)
        return answer(encode_fault(request.id, denied("Too many tries; connect again.")));
    if (!request.key.empty())
        return authenticate_key(request);
    server.context_.accounts.verify(request.username, request.password, source_of(request),
                                    login_of(request));
}

void Server::Connection::authenticate_key(const Request& request) {
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

const std::string& Server::Connection::source_of(const Request& request) const {
    return door.source.empty() ? request.source : door.source;
}

Accounts::Verified Server::Connection::login_of(const Request& request) {
    // On record even when whoever tried did not wait for the answer.
    return [&owner = server, weak = weak_from_this(), done = reply_to<Hello>(request.id),
            username = request.username,
            source = source_of(request)](const Accounts::Verdict& verdict) {
        const auto& account = verdict.account;
        owner.context_.login({username, account ? account->roles : Roles(), source, ""}, verdict);
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

void Server::Connection::bind_new(const std::string& account, const std::string& source,
                                  const std::string& type) {
    bind(server.context_.sessions.begin(account, source, type).id);
}

void Server::Connection::bind(std::int64_t session) {
    session_id = session;
    server.context_.sessions.hold(session);
    login_timer.reset();
}

void Server::Connection::unbind() {
    if (session_id != 0)
        server.context_.sessions.release(std::exchange(session_id, 0));
}

std::string Server::Connection::prompt() const {
    constexpr std::string_view token = "<HOSTNAME>";
    std::string text = *server.context_.doors.cli_prompt;
    if (const std::size_t at = text.find(token); at != std::string::npos)
        text.replace(at, token.size(), server.context_.hostname());
    return text.empty() ? "-> " : text;
}

Hello Server::Connection::current_hello() const {
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

Result<Caller> Server::Connection::caller_now() const {
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

} // namespace lom::control
