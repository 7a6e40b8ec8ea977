// The serial console, the screen, and images of one's own by websocket, and the one-time tickets
// that open them where a cookie cannot go. The bytes flow between the server and the descriptor
// that lomd handed over. Loop thread only.
#pragma once

#include "web/http.h"
#include "web/sessions.h"
#include "web/task.h"

#include <chrono>
#include <map>
#include <string>

namespace lom::web {

class Streams {
  public:
    /// /console/serial, /console/screen, /console/media, and where tickets are made.
    static bool is_one(const std::string& uri);
    /// `session` may be absent when the query has a ticket.
    Task<Response> answer(const Request& request, WebSessions::Ptr session);

  private:
    struct Ticket {
        std::weak_ptr<WebSession> session;
        std::chrono::steady_clock::time_point until;
    };
    Response make_ticket(const WebSessions::Ptr& session);
    WebSessions::Ptr redeem(const std::string& ticket);
    Task<Response> open(const Request& request, WebSessions::Ptr session);

    std::map<std::string, Ticket> tickets_;
};

} // namespace lom::web
