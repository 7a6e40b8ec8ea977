// Who is logged in through the web: each session is one authenticated control connection to lomd,
// and its token is that session's ticket. So lom-web keeps nothing that its successor would need:
// an unknown token is tried as a ticket. Loop thread only.
#pragma once

#include "base/loop.h"
#include "sp/control/messages.h"
#include "web/control_link.h"
#include "web/task.h"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace lom::web {

/// Something that must end with its session: a websocket, an event stream.
struct Attachment {
    std::function<void()> cut;
    bool keeps_alive = false; ///< a person watches: the session does not time out
};

class WebSession : public std::enable_shared_from_this<WebSession> {
  public:
    WebSession(Loop& loop, std::unique_ptr<ControlLink> link, control::Hello hello);

    const std::string& token() const { return hello_.ticket; }
    const control::Hello& hello() const { return hello_; }
    bool ended() const { return ended_; }
    /// How long ago lomd was asked something in this session.
    std::chrono::steady_clock::duration since_asked() const {
        return std::chrono::steady_clock::now() - last_asked_;
    }

    // -- the tree, as this account
    Task<Result<control::TargetView>> show(std::string target, int depth);
    Task<Result<control::TargetDescription>> describe(std::string target);
    Task<Result<control::SetReply>> set(std::string target, std::string property,
                                        std::string value);
    Task<Result<control::RunReply>> run(control::RunRequest request);
    /// The descriptor of a new event stream (docs/control-protocol.md).
    Task<Result<control::RunReply>> events();
    Task<bool> log_out();

    std::shared_ptr<Attachment> attach(std::function<void()> cut, bool keeps_alive);
    bool watched() const;
    /// Cuts what is attached; requests are refused from now on.
    void end();

    std::chrono::steady_clock::time_point last_used;
    std::string basic_key; ///< of a session behind HTTP Basic; empty: none
    std::string origin;    ///< "cookie" or "token": how its owner shows it

  private:
    friend class WebSessions;
    Task<Result<ControlLink::Answer>> ask(control::Request request);
    /// On a second link, while the first waits for something that takes long.
    Task<Result<ControlLink::Answer>> ask_aside(control::Request request);
    Task<bool> wait_for_link();
    void take_up_again(); ///< after lomd closed: resume, or end
    void try_again();
    void settle(bool connected);

    Loop& loop_;
    std::unique_ptr<ControlLink> link_;
    std::unique_ptr<ControlLink> aside_; ///< only reads; opened when it is needed first
    control::Hello hello_;
    std::chrono::steady_clock::time_point last_asked_;
    bool ended_ = false;
    bool resuming_ = false; ///< the link is not yet ours again
    std::chrono::steady_clock::time_point away_since_;
    Loop::Handle retry_;
    struct Waiter {
        std::function<void(bool)> done;
        Loop::Handle limit;
    };
    std::vector<std::shared_ptr<Waiter>> waiters_; ///< requests that wait for lomd
    std::vector<std::weak_ptr<Attachment>> attachments_;
};

class WebSessions {
  public:
    using Ptr = std::shared_ptr<WebSession>;
    WebSessions(Loop& loop, std::string control_socket, std::string door_ticket,
                std::chrono::minutes time_out);

    Task<Result<Ptr>> log_in(std::string name, std::string password, std::string source);
    Task<Result<Ptr>> find(std::string token);
    /// HTTP Basic: the same credentials within half a minute are one session.
    Task<Result<Ptr>> basic(std::string name, std::string password, std::string source);
    Task<bool> log_out(Ptr session);
    std::chrono::minutes time_out() const { return time_out_; }

  private:
    Task<Result<Ptr>> begin(control::Request first, control::Request second);
    void make_room(const Ptr& newest);
    void sweep();

    Loop& loop_;
    std::string control_socket_;
    std::string door_ticket_;
    std::chrono::minutes time_out_;
    std::string basic_salt_;
    std::map<std::string, Ptr> sessions_; ///< by token
    struct Basic {
        Ptr session;
        std::chrono::steady_clock::time_point since;
        std::vector<std::function<void(Result<Ptr>)>> waiting; ///< while it logs in
        bool busy = false;
    };
    std::map<std::string, Basic> basic_; ///< by a digest of the credentials
    int unknown_tokens_ = 0;             ///< tried at lomd since the last sweep
    int beginning_ = 0;                  ///< logins and resumptions under way
    Loop::Handle sweep_;
};

} // namespace lom::web
