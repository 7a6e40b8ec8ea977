// Files that `load` and `dump` bring from other machines and take there. Each is one run of
// lom-media, which speaks the network's protocols; the password reaches it by a pipe. Loop thread
// only; never blocks.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "sp/service/image_policy.h"
#include "sp/service/managed_host.h"

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace lom {

class Transfers {
  public:
    static constexpr std::size_t most_bytes = 64U << 20U;
    static constexpr std::size_t most_at_once = 8;

    struct Remote {
        std::string uri; ///< sftp://[USER@]HOST[:PORT]/PATH; to fetch also http(s)
        std::string password;
        Roles roles; ///< of who names it
    };

    Transfers(Loop& loop, const Paths& paths, const ImagePolicySettings& policy);
    ~Transfers(); ///< ends what still runs; its callbacks never come

    /// The file's content; a longer one is a fault.
    void fetch(const Remote& from, std::size_t most, std::function<void(Result<std::string>)> done);
    void store(const Remote& to, std::string content, std::function<void(Result<void>)> done);

    /// A large file on its way to a file of ours. Destroying it ends the transfer; `done` comes
    /// only while it lives. A transfer that brings nothing for minutes is ended too.
    class Download {
      public:
        virtual ~Download() = default;
        virtual std::uint64_t size() const = 0; ///< of the whole; 0: not known yet
    };
    Result<std::unique_ptr<Download>> download(const Remote& from, int to, std::uint64_t most,
                                               std::function<void(Result<void>)> done);

  private:
    struct Run;
    struct RunningDownload;
    /// `to`: lom-media's standard output; -1: it is collected.
    Result<std::shared_ptr<Run>> begin(const Remote& remote, const char* direction,
                                       std::uint64_t most, int to = -1);
    void watch(const std::shared_ptr<Run>& run, std::function<void(Result<std::string>)> done);

    Loop& loop_;
    std::string program_;
    std::string known_hosts_;
    const ImagePolicySettings& policy_;
    std::set<std::shared_ptr<Run>> runs_;
};

} // namespace lom
