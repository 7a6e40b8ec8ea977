// SHA-256 of large files, one after the other, on a thread of its own that gives way to everything
// else. Its owner calls it on the loop thread and hears of results there.
#pragma once

#include "base/loop.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace lom::kvms {

class Digester {
  public:
    /// In hexadecimal; nothing if the file cannot be read.
    using Done = std::function<void(std::optional<std::string> sha256)>;

    explicit Digester(Loop& loop);
    ~Digester(); ///< gives up what is under way; its Done never comes

    void add(std::string file, Done done);

  private:
    struct Job {
        std::string file;
        Done done;
    };
    void work();
    std::optional<std::string> digest(const std::string& file);
    bool stopping();

    Loop& loop_;
    const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true); ///< loop thread's
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> jobs_;
    bool stop_ = false;
    std::thread thread_; ///< from the first job on
};

} // namespace lom::kvms
