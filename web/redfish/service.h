// Redfish: finds the declaration of the resource that a request names, and answers from it. What
// the resources are is declared in the other files of this folder. Loop thread only.
#pragma once

#include "base/loop.h"
#include "web/http.h"
#include "web/sessions.h"
#include "web/task.h"

#include <memory>

namespace lom::web {

class Redfish {
  public:
    Redfish(Loop& loop, WebSessions& sessions);
    ~Redfish();

    /// What may be asked before logging in: the service root, and logging in.
    static bool is_open_to_all(const Request& request);
    /// `session` may be absent for what is open to all.
    Task<Response> answer(const Request& request, WebSessions::Ptr session);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::web
