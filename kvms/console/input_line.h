// What is typed, on its way to QEMU's serial device. `path` is the FIFO that QEMU reads
// (-chardev pipe) or its listening socket (-chardev socket). Loop thread only.
//
// The line is open only while bytes are on their way. A socket that stays connected makes QEMU
// copy the guest's output into it, and whenever that socket is full QEMU 7.2 writes the byte to its
// log and then, when it tries again, once more: the log is exact only while nobody is connected.
// With a FIFO there is no such window. What comes out of a socket is thrown away.
#pragma once

#include "base/fd.h"
#include "base/loop.h"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace lom::kvms {

class InputLine {
  public:
    /// Bytes that wait here at most before full(); what is sent beyond is still taken once.
    static constexpr std::size_t queue_limit = 64U << 10U;

    /// `roomy` comes from the loop when full() has ended.
    InputLine(Loop& loop, std::function<void()> roomy);

    /// Sends to `path` from now on (empty: to nobody). What waits for the former one is forgotten.
    void use(const std::string& path);
    /// False: nobody listens at the path.
    bool send(std::string_view bytes);
    bool full() const { return queue_.size() >= queue_limit; }

  private:
    bool open();
    bool open_fifo();
    bool open_socket();
    void close();
    void flush();
    void drain();
    void close_when_taken();
    void tell_roomy();

    Loop& loop_;
    std::function<void()> roomy_;
    std::string path_;
    std::string queue_;
    UniqueFd fd_;
    bool is_socket_ = false;
    std::chrono::milliseconds patience_{0};
    Loop::Handle output_; // the socket's, to be thrown away
    Loop::Handle writable_;
    Loop::Handle taken_;
    Loop::Handle roomy_later_;
};

} // namespace lom::kvms
