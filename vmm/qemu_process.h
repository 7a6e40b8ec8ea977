// One running QEMU: its process and the monitor to it, from start or adoption to its end. It never
// decides anything about the host. Loop thread only. Destroying it leaves QEMU running.
#pragma once

#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "vmm/qmp_client.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace lom::vmm {

class QemuProcess {
  public:
    struct Handlers {                // `ended` may destroy the object, the others must not
        std::function<void()> ready; ///< commands can be given; again after each loss of contact
        std::function<void(const std::string& name, const QmpFields& data)> event;
        /// It lives but does not answer; contact is tried again every five seconds.
        std::function<void(const std::string& reason)> lost;
        std::function<void(int wait_status)> ended; ///< comes once; -1: not known
    };

    static constexpr std::chrono::seconds quit_limit{2}; ///< then it is killed

    /// `limit`: how long it may take to greet.
    QemuProcess(Loop& loop, ProcessId process, std::string monitor, std::chrono::milliseconds limit,
                Handlers handlers);

    const ProcessId& id() const { return process_; }
    bool answers() const { return qmp_ && qmp_->ready(); }
    void execute(const std::string& command, const std::string& arguments,
                 QmpClient::Answer answer);
    /// Cuts the power: asks QEMU to quit, which completes what the guest has written, and kills it
    /// when it does not.
    void end();

  private:
    void connect(std::chrono::milliseconds limit);
    void on_ready();
    void on_closed(const std::string& reason);
    void quit();
    void on_exit(int wait_status);

    Loop& loop_;
    ProcessId process_;
    std::string monitor_;
    Handlers handlers_;
    std::unique_ptr<QmpClient> qmp_;
    bool lost_ = false; ///< it was told so, and not been reached since
    bool ending_ = false;
    Loop::Handle exit_watch_, contact_timer_, kill_timer_;
};

/// What a QEMU's own log tells about its end. QEMU traces each request to shut down.
enum class ShutdownCause { unknown, guest_shutdown, guest_reset, signal };
/// Of a QEMU that stopped with status `shutdown`. The guest's reset is the one that QEMU does not
/// trace as a request.
ShutdownCause shutdown_cause(const std::string& log);
/// The last line that is not a trace; empty: QEMU said nothing.
std::string last_words(const std::string& log);
/// " (signal Killed)", " (exit status 1)", or empty.
std::string how_it_ended(int wait_status);

} // namespace lom::vmm
