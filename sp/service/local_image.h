// An image on the computer of somebody who has the page open: it is in the drive as long as that
// session lasts, and only that session's page feeds it. The bytes go from the page by way of
// lom-web to lom-media, without us. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "sp/tree/roles.h"
#include "sp/tree/settings.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom {

class LocalImage {
  public:
    struct Request {
        std::string session; ///< in /SP/sessions
        std::string account;
        Roles roles;
        std::string who;     ///< "root (127.0.0.1)"
        std::string file;    ///< its name, without folders
        bool resume = false; ///< only to go on feeding what is in the drive
        bool force = false;  ///< also instead of somebody else's
    };
    struct Drive {
        std::function<std::string()> uri; ///< in the drive; empty: none
        /// Puts it in instead; empty: takes out what is in.
        std::function<Result<void>(const Request& request, const std::string& uri)> insert;
        std::function<Result<UniqueFd>()> connect; ///< to the running lom-media
    };
    using Done = std::function<void(Result<UniqueFd>)>;

    LocalImage(Loop& loop, Settings& store, const std::string& prefix, Drive drive)
        : loop_(loop), session_(store, prefix + "session", ""), who_(store, prefix + "who", ""),
          drive_(std::move(drive)) {}

    /// A stream on which lom-media asks for the file (kvms/media/sources/browser_source.h).
    void open(const Request& request, Done done);
    /// Takes its image out.
    void end_session(const std::string& session);

    std::string file() const;    ///< in the drive; empty: none
    std::string session() const; ///< whose it is
    std::string who() const;

    static bool is_local(const std::string& uri) { return uri.starts_with("browser:"); }

  private:
    struct Wait {
        Done done;
        std::chrono::steady_clock::time_point until;
        Loop::Handle again;
    };
    Result<void> put_in(const Request& request);
    void try_to_connect(const std::shared_ptr<Wait>& wait);

    Loop& loop_;
    Setting<std::string> session_;
    Setting<std::string> who_;
    Drive drive_;
    std::vector<std::shared_ptr<Wait>> waiting_;
};

} // namespace lom
