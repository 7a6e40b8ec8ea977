// The event loop of lomd and of tests: one thread runs it, every callback comes on that thread.
// A thin face over Asio's io_context, so that its heavy headers stay in loop.cpp. Handles are RAII:
// when one is destroyed its callback never comes again, also when destroyed from inside it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace lom {

class Loop {
  public:
    struct Registration; // what a handle keeps alive
    using Handle = std::shared_ptr<Registration>;
    enum class Wait { readable, writable };

    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Runs until stop(). Callbacks must not block.
    void run();
    /// Runs until `done` is true or `limit` has passed; returns done(). For tests and start-up.
    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);
    void stop();

    /// Calls `callback` from the loop soon. The only member that other threads may call.
    void post(std::function<void()> callback);
    /// Calls `callback` once after `delay` unless the handle dies before.
    [[nodiscard]] Handle after(std::chrono::milliseconds delay, std::function<void()> callback);
    /// Calls `callback` again and again.
    [[nodiscard]] Handle every(std::chrono::milliseconds period, std::function<void()> callback);
    /// Calls `callback` whenever `fd` is ready (level-triggered) while the handle lives. The caller
    /// keeps `fd` open at least as long as the handle. One handle per fd and direction.
    [[nodiscard]] Handle watch(int fd, Wait wait, std::function<void()> callback);
    /// Calls `callback(wait status)` once when the process has ended, and reaps it if it is a child
    /// of ours; the status of another's process (adopted after a restart) is -1.
    [[nodiscard]] Handle on_exit(pid_t process, std::function<void(int)> callback);
    [[nodiscard]] Handle on_signal(int signal, std::function<void(int)> callback);
    /// Runs `work` on a small thread pool (hashing, name resolution), then `done` on the loop.
    void in_pool(std::function<void()> work, std::function<void()> done);
    /// What runs underneath, for rooms whose .cpp files use Asio themselves (web).
    boost::asio::io_context& context();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom
