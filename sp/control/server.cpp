#include "sp/control/server.h"

#include "sp/control/connection.h"

#include <sys/socket.h>

namespace lom::control {

namespace {

constexpr std::size_t most_connections = 4096;
constexpr std::chrono::seconds stranger_limit{10}; // a connection that says nothing

} // namespace

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
