// What changes in the tree, told to doors as it happens (op `events`). Loop thread only. A reader
// that does not read loses its waiting messages and is told so; it never slows lomd.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace lom::control {

/// One message of the stream, as JSON in docs/control-protocol.md.
struct Change {
    std::string kind;     ///< property, target, event_log, audit_log, missed
    std::string target;   ///< canonical path
    std::string property; ///< kind property: its name
    std::string text;     ///< the new value as shown, or the log entry's text
    std::string severity; ///< of a log entry
    std::int64_t id = 0;  ///< of a log entry
};

class Events {
  public:
    explicit Events(Loop& loop);
    ~Events();

    void publish(const Change& change);
    /// Something that `show` of this target prints has changed; told once for many calls in a row.
    void target_changed(const std::string& path);

    /// The reader's end of a new SOCK_SEQPACKET pair; `id` ends it.
    Result<UniqueFd> subscribe(std::uint64_t& id);
    void unsubscribe(std::uint64_t id);

  private:
    struct Subscriber;
    void flush_targets();

    Loop& loop_;
    std::map<std::uint64_t, std::unique_ptr<Subscriber>> subscribers_;
    std::uint64_t next_id_ = 1;
    std::set<std::string> changed_;
    Loop::Handle soon_;
};

} // namespace lom::control
