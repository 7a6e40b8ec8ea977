// One connection to lomd: whose it is, and its requests one after the other. Internal to the
// server's .cpp files: connection.cpp has the requests, login.cpp how somebody comes to it. Loop
// thread only.
#pragma once

#include "base/stream.h"
#include "sp/control/server.h"
#include "sp/control/wire.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lom::control {

/// A door may wait for its user that long (login grace); a stranger that says nothing may not.
constexpr std::chrono::seconds door_limit{150};

struct Server::Connection : std::enable_shared_from_this<Connection> {
    Connection(Server& owner, std::uint64_t number) : server(owner), id(number) {}
    ~Connection();

    void open(UniqueFd fd, std::chrono::milliseconds login_limit);
    void on_data(std::string_view bytes);
    /// One request at a time: the next one is looked at when the last one is answered.
    void serve_next();
    void answer(const std::string& json, UniqueFd fd = {});

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

    void send_reply(std::int64_t request_id, const Hello& hello_out);
    void send_reply(std::int64_t request_id, const Tree::SetAnswer& set);
    void send_reply(std::int64_t request_id, VerbOutcome& outcome);
    void handle(const Request& request);

    // -- who it is (login.cpp)

    void hello(const Request& request);
    bool local_administrator() const;
    void resume(const Request& request);
    void authenticate(const Request& request);
    void authenticate_key(const Request& request);
    /// A taken-over lom-ssh must not pass for a client elsewhere.
    const std::string& source_of(const Request& request) const;
    /// What follows from a verdict, once it is there.
    Accounts::Verified login_of(const Request& request);
    void bind_new(const std::string& account, const std::string& source, const std::string& type);
    void bind(std::int64_t session);
    void unbind();
    std::string prompt() const;
    Hello current_hello() const;
    /// Looked up anew for each request: a changed role counts at once.
    Result<Caller> caller_now() const;

    // -- what it wants

    /// The door's person leaves, before the session would end by itself.
    void log_out(const Request& request);
    void events(const Request& request);
    void open_session(const Request& request, const Caller& caller);
    /// A door says that somebody is there: one's own sessions only.
    void note_activity(const Request& request, const Caller& caller);
    void show(const Request& request, const Caller& caller);
    void show_now(const Request& request, const Caller& caller);
    void describe(const Request& request);
    void run(const Request& request, const Caller& caller);

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

} // namespace lom::control
