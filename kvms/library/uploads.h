// SFTP sessions on the image library: a confined sftp-server (lom-sftp) for each, in a folder of
// its own that holds links to the library's images. What the client has put there and closed is
// taken into the library; what it removed or renamed there is removed or renamed; what it did not
// finish is dropped. The client's bytes pass by us; of the server we read its log, which tells when
// to look, and whose names are the client's words. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "base/stream.h"
#include "kvms/library/library.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace lom::kvms {

class Uploads {
  public:
    static constexpr std::size_t most_at_once = 8;

    /// "put NAME", "removed NAME": done, or refused with a reason.
    using Told = std::function<void(const std::string& deed, const Result<void>& done)>;
    using Ended = std::function<void(const std::vector<std::string>& complaints)>;

    Uploads(Loop& loop, Library& library, std::string program);
    ~Uploads(); ///< ends the sessions; what they have not closed is dropped

    /// The client's side of the stream. `key` is the session's.
    Result<UniqueFd> begin(const std::string& key, Told told);
    /// `ended` when the server is gone and everything is where it belongs.
    void finish(const std::string& key, Ended ended);
    /// Cuts it short.
    void drop(const std::string& key);

  private:
    struct Session;
    void listen(const std::shared_ptr<Session>& session, UniqueFd words);
    void hear(Session& session, std::string_view bytes);
    void hear_line(Session& session, const std::string& line);
    void look_soon(const std::shared_ptr<Session>& session);
    void look(Session& session, bool at_end);
    void follow_links(Session& session);
    void take_in(Session& session, const std::string& name, bool at_end);
    void link_images(Session& session);
    void tell(Session& session, const std::string& deed, const Result<void>& done);
    void watch_room(Session& session);
    void end(const std::shared_ptr<Session>& session);

    Loop& loop_;
    Library& library_;
    std::string program_;
    std::map<std::string, std::shared_ptr<Session>> sessions_;
};

} // namespace lom::kvms
