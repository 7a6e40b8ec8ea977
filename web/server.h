// HTTPS on a listening socket: TLS, HTTP/1.1, websockets, event streams, with limits on everything
// that a stranger decides: header, body, connections, time. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "web/http.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace lom::web {

class Server {
  public:
    using Respond = std::function<void(Response)>;
    struct Handler {
        /// Answers a whole request, now or later.
        std::function<void(Request, Respond)> request;
        /// How long a body this request may have, judged by its header alone.
        std::function<std::size_t(const Request&)> body_limit;
    };

    /// `pem` is chain and key in one text.
    static Result<std::unique_ptr<Server>> start(Loop& loop, UniqueFd listener,
                                                 const std::string& pem, Handler handler);
    ~Server();

    /// Takes no new connection, answers what was asked, closes; `done` when the last one is closed,
    /// or after a moment.
    void drain(std::function<void()> done);

  private:
    struct Impl;
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::web
