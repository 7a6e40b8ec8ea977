// One connection to a QEMU's monitor socket: greeting, commands with a deadline, events. Loop
// thread only. Nothing is called back once it is destroyed.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "base/stream.h"
#include "vmm/qmp.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lom::vmm {

class QmpClient {
  public:
    struct Handlers {                // each may destroy the client
        std::function<void()> ready; ///< greeting seen, capabilities agreed
        std::function<void(const std::string& name, const QmpFields& data)> event;
        std::function<void(const std::string& reason)> closed; ///< comes once
    };
    using Answer = std::function<void(const Result<QmpFields>&)>;

    /// An image on a silent server holds QEMU for 20 s at most (lom-media answers by then).
    static constexpr std::chrono::seconds answer_limit{30};

    /// Connects to `path`, trying again until it is there; QEMU must greet within `limit`.
    QmpClient(Loop& loop, std::string path, std::chrono::milliseconds limit, Handlers handlers);

    /// `arguments` is a JSON object or empty. `answer` always comes: a fault when QEMU refuses, is
    /// silent too long, or goes away.
    void execute(const std::string& command, const std::string& arguments, Answer answer);
    /// Whether commands can be given now.
    bool ready() const { return ready_; }
    /// Answers what is outstanding with a fault and calls `closed`.
    void close(const std::string& reason);

  private:
    struct Waiting {
        std::uint64_t id;
        std::chrono::steady_clock::time_point since;
        Answer answer;
    };

    void connect();
    void on_data(std::string_view bytes);
    void on_message(const QmpMessage& message);
    void on_greeting();
    void on_answer(const QmpMessage& message);
    void send(const std::string& command, const std::string& arguments, Answer answer);
    void watch_clock();

    Loop& loop_;
    std::string path_;
    Handlers handlers_;
    std::chrono::steady_clock::time_point deadline_;
    Loop::Handle timer_;
    std::unique_ptr<Stream> stream_;
    QmpReader reader_;
    bool ready_ = false;
    std::uint64_t last_id_ = 0;
    std::deque<Waiting> waiting_; ///< oldest first
    std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

} // namespace lom::vmm
