// QEMU's machine protocol: the dialogue with one QEMU over its monitor socket. What comes from
// QEMU is hostile: lines are bounded, JSON is parsed without exceptions. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "base/stream.h"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace lom::vmm {

/// The fields of an event or of a query's answer that the host looks at.
struct QmpFields {
    std::string reason; ///< SHUTDOWN, RESET, BLOCK_IO_ERROR
    std::string action; ///< GUEST_PANICKED, BLOCK_IO_ERROR
    std::string id;     ///< DEVICE_TRAY_MOVED
    std::string status; ///< query-status
    bool tray_open = false;
    bool nospace = false;
    std::string node; ///< BLOCK_IO_ERROR
    std::string json; ///< all of it, as text
};

class Qmp {
  public:
    struct Handlers {
        std::function<void()> ready; ///< greeting seen, capabilities agreed
        std::function<void(const std::string& name, const QmpFields& data)> event;
        std::function<void(const std::string& reason)> closed; ///< comes once
    };
    using Answer = std::function<void(Result<QmpFields>)>;

    /// Connects to `path`, trying again until it is there or `limit` has passed.
    Qmp(Loop& loop, std::string path, std::chrono::milliseconds limit, Handlers handlers);
    ~Qmp();

    /// `arguments` is a JSON object or empty. A command that QEMU never answers ends with the
    /// connection.
    void execute(const std::string& command, const std::string& arguments, Answer answer);

  private:
    void connect();
    void on_data(std::string_view bytes);
    void on_line(const std::string& line);
    void close(const std::string& reason);

    static constexpr std::size_t longest_line = 1U << 20U;

    Loop& loop_;
    std::string path_;
    Handlers handlers_;
    std::chrono::steady_clock::time_point deadline_;
    Loop::Handle timer_;
    std::unique_ptr<Stream> stream_;
    std::string line_;
    bool ready_ = false;
    std::deque<Answer> waiting_; ///< QMP answers in the order of the commands
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// The file in the drive of device `id`, from the answer to query-block; empty: none.
std::string inserted_file(const std::string& query_block, const std::string& id);
/// A JSON string literal.
std::string json_text(const std::string& text);

} // namespace lom::vmm
