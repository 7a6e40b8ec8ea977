// Whom to tell of changes by HTTP: for each webhook lomd starts a `lom-web --webhook` without
// rights, which gets the address, the key and a stream of events, and posts them. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "base/stream.h"
#include "sp/control/events.h"
#include "sp/service/managed_host.h"
#include "sp/tree/settings.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lom {

struct Webhook {
    std::string name;
    std::string destination; ///< https://HOST[:PORT]/PATH
    std::string context;     ///< told with each event
    std::string secret;      ///< signs what is sent; empty: unsigned
    bool verify = true;      ///< the receiver's certificate
};

class Webhooks {
  public:
    static constexpr std::size_t most = 16;

    Webhooks(Loop& loop, Paths paths, Settings& store, control::Events& events);
    ~Webhooks();

    std::vector<Webhook> list() const;
    const Webhook* find(const std::string& name) const;
    /// Makes or changes the one of that name. Durable when it returns.
    Result<void> put(const Webhook& hook);
    Result<void> remove(const std::string& name);
    /// What its deliverer said last: "idle", "delivering", or what is wrong.
    std::string status(const std::string& name) const;

  private:
    struct Deliverer;
    Result<void> save(const std::map<std::string, Webhook>& hooks);
    void start(const std::string& name);
    void stop(const std::string& name);

    Loop& loop_;
    Paths paths_;
    control::Events& events_;
    Setting<std::string> stored_;
    std::map<std::string, Webhook> hooks_;
    std::map<std::string, std::shared_ptr<Deliverer>> deliverers_;
    std::map<pid_t, Loop::Handle> ended_; ///< killed, to be reaped
};

} // namespace lom
