// lomd's changes as Redfish events, told to event streams (SSE). One subscription at lomd for each
// session that has a stream open. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "web/http.h"
#include "web/sessions.h"
#include "web/task.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lom::web {

class EventHub {
  public:
    explicit EventHub(Loop& loop) : loop_(loop) {}
    ~EventHub();

    /// The response whose body is the stream of this session's events.
    Task<Response> stream(WebSessions::Ptr session);

    /// An open stream, as Redfish lists it among the subscriptions.
    struct Listener {
        std::string id;      ///< "sse-1"; not used again while the process lives
        std::string context; ///< no meaning to anybody
        std::string session; ///< its number, as in /SP/sessions
        std::string account;
    };
    const std::map<std::string, Listener>& listeners() const { return listeners_; } ///< by id
    /// Ends the stream; false: there is none of that id.
    bool close(const std::string& id);

  private:
    struct Channel;
    Task<bool> open(std::shared_ptr<Channel> channel);
    void on_readable(const std::shared_ptr<Channel>& channel);
    void tell(const std::shared_ptr<Channel>& channel, const std::string& change);
    void again_soon(const std::shared_ptr<Channel>& channel);
    std::string enlist(const WebSession& session, const std::shared_ptr<Outflow>& flow);

    Loop& loop_;
    std::map<std::string, std::shared_ptr<Channel>> channels_; ///< by session token
    std::map<std::string, Listener> listeners_;
    std::map<std::string, std::weak_ptr<Outflow>> flows_; ///< by the listener's id
    std::int64_t next_id_ = 1;
    std::int64_t next_listener_ = 1;
};

/// One change of lomd's as a Redfish Event object; empty: not to be told.
std::string redfish_event(const std::string& change, std::int64_t id,
                          const std::string& context = "");

} // namespace lom::web
