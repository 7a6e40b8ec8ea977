// GETs of the same thing that come in together. One that comes while the thing is being read waits,
// with all that come meanwhile, for the next reading, and they share its answer. So each is
// answered with what was true after it was asked, and fifty clients cost little more than two.
// Nothing is kept when nobody waits. Loop thread only.
#pragma once

#include "web/http.h"
#include "web/task.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lom::web {

class SharedReads {
  public:
    using Read = std::function<Task<Response>()>;
    /// `key` says all that the answer depends on, whose account it is above all. An error is not
    /// shared.
    Task<Response> answer(std::string key, Read read);

  private:
    using Shared = std::shared_ptr<const Response>;
    /// Takes the answer, or nothing: then it reads next, for itself and who waits beside it.
    using Waiter = std::function<void(Shared)>;
    std::map<std::string, std::vector<Waiter>> waiting_; ///< an entry: a reading is under way
};

} // namespace lom::web
