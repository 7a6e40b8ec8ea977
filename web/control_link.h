// One connection to lomd's control socket, without waiting: requests go out in order, each answer
// comes to its callback. Loop thread only; a callback never comes from inside call().
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/stream.h"
#include "sp/control/wire.h"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>

namespace lom::web {

class ControlLink {
  public:
    struct Answer {
        std::string json; ///< for control::decode_*
        UniqueFd fd;
    };
    using Done = std::function<void(Result<Answer>)>;

    ControlLink(Loop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
    ~ControlLink(); ///< answers that were awaited become `unavailable`, soon
    ControlLink(const ControlLink&) = delete;
    ControlLink& operator=(const ControlLink&) = delete;

    /// A fresh connection that is nobody's yet.
    Result<void> connect();
    bool is_open() const { return stream_ != nullptr; }
    /// What is asked now would wait until something that may take long is answered.
    bool is_occupied() const {
        return !waiting_.empty() || (!sent_.empty() && sent_.back().passes_fd);
    }
    const std::string& path() const { return path_; }
    void call(control::Request request, Done done);
    void close();
    /// When lomd closed, or answered out of step.
    std::function<void()> on_closed;

  private:
    struct Call {
        std::string frame;
        bool passes_fd = false; ///< sent alone, so that a descriptor is certainly its own
        Done done;
    };
    void send_next();
    void on_data(std::string_view bytes, std::vector<UniqueFd> fds);
    void fail_all();
    void watch_time();

    Loop& loop_;
    std::string path_;
    std::unique_ptr<Stream> stream_;
    std::unique_ptr<control::FrameReader> reader_;
    std::deque<Call> waiting_;
    std::deque<Call> sent_;
    UniqueFd fd_;
    std::int64_t next_id_ = 1;
    Loop::Handle limit_;
};

} // namespace lom::web
