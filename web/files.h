// The page's files, from one folder given as a descriptor. Kept in memory while unchanged. Serves a
// `.gz` beside the file to whoever takes it. Loop thread only; never leaves its folder.
#pragma once

#include "base/fd.h"
#include "web/http.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace lom::web {

class Files {
  public:
    explicit Files(UniqueFd folder) : folder_(std::move(folder)) {}
    /// "/" is index.html. 404 for what is not there, 405 for what is not GET or HEAD.
    Response answer(const Request& request);

  private:
    struct File {
        std::shared_ptr<const std::string> content;
        std::string etag;
        std::int64_t changed = 0;
        std::int64_t size = 0;
    };
    const File* find(const std::string& name);

    UniqueFd folder_;
    std::map<std::string, File> files_;
};

} // namespace lom::web
