// The image library as the service processor offers it: its quota, and the images on their way in,
// by `load -source` here and by SFTP (uploads.h). Loop thread only.
#pragma once

#include "base/loop.h"
#include "kvms/library/library.h"
#include "kvms/library/uploads.h"
#include "sp/service/transfers.h"
#include "sp/state/log.h"
#include "sp/tree/settings.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lom {

class MediaLibrary {
  public:
    /// `changed`: something that show of the library would print.
    MediaLibrary(Loop& loop, const Paths& paths, kvms::Library& images, Transfers& transfers,
                 Settings& store, Log& events, std::function<void()> changed);
    ~MediaLibrary(); ///< what is on its way in is given up

    kvms::Library& images() { return images_; }
    kvms::Uploads& uploads() { return uploads_; }
    std::int64_t quota() const { return *quota_; }
    Result<void> set_quota(std::int64_t bytes);

    struct Loading {
        std::string name;
        std::string source;
        std::uint64_t size = 0; ///< 0: not known yet
        std::uint64_t loaded = 0;
    };
    std::vector<Loading> loadings() const;
    /// `done` with a sentence: when it is in the library, or when it takes long and goes on.
    void load(const Transfers::Remote& from, std::function<void(Result<std::string>)> done);
    Result<void> cancel(const std::string& name);
    /// The last part of the URI's path.
    static std::string name_in(const std::string& uri);

  private:
    struct Load;
    Result<std::shared_ptr<Load>> begin(const Transfers::Remote& from);
    void finish(const std::string& name, const Result<void>& fetched);

    Loop& loop_;
    kvms::Library& images_;
    Transfers& transfers_;
    Log& events_;
    std::function<void()> changed_;
    Setting<std::int64_t> quota_;
    std::map<std::string, std::shared_ptr<Load>> loads_; ///< by name
    kvms::Uploads uploads_;
};

} // namespace lom
