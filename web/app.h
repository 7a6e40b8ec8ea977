// What lom-web answers to a request: who asks, and which part answers: Redfish, the tree as JSON,
// websockets, the page's files. Loop thread only.
#pragma once

#include "base/loop.h"
#include "web/files.h"
#include "web/http.h"
#include "web/sessions.h"
#include "web/task.h"

#include <chrono>
#include <memory>
#include <string>

namespace lom::web {

class App {
  public:
    struct Options {
        std::string control_socket;
        std::string door_ticket;
        UniqueFd ui;
        std::chrono::minutes session_time_out{15};
    };
    App(Loop& loop, Options options);
    ~App();

    void answer(Request request, std::function<void(Response)> respond);
    std::size_t body_limit(const Request& request) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::web
