// A host's serial console: one writer, any number of readers, history on disk.
//
// The log file is the console: QEMU appends to it (chardev logfile=), the SP appends its own text
// (the ok prompt) while the virtual CPU stands still, and every reader follows the file from an
// offset of its own. So nothing is lost with nobody attached, while lomd restarts, or past a slow
// reader. The offset counts from the first byte ever; old blocks are given back to the disk by
// punching holes at the front, which neither moves offsets nor races with QEMU's appends.
// QEMU's FIFO or socket carries input only (see input_line.h: a socket that stays connected makes
// QEMU write bytes twice into the log). Room for the next bytes is reserved on disk ahead of time,
// because QEMU says nothing when it cannot write its log; once a full disk has used that up
// (between 0.5 and 2 MiB, Observer::trouble tells), nothing is recorded or shown until there is
// space again. Never blocks; loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

/// Attached clients speak SOCK_SEQPACKET messages of at most 16 KiB (a longer one drops the
/// client); the first byte is the kind:
///   to the client:   'd' bytes of the console
///                    'n' a notice, JSON:
///                        {"type":"attached","offset":N,"write":bool,"writer":"who"}
///                        {"type":"skipped","bytes":N}  the log no longer held them
///                        {"type":"writer","write":bool,"writer":"who"}  the write seat changed
///                        {"type":"stopped","reason":"..."}  then the socket closes
///   from the client: 'd' input (ignored from readers), 'b' a serial break
/// The attached offset plus the bytes of 'd' messages plus those skipped is the client's offset: it
/// may attach again there.
struct AttachRequest {
    std::string who;                     ///< account and source for presence: "root (127.0.0.1)"
    std::string session;                 ///< in /SP/sessions; may end with it
    bool write = true;                   ///< wants the write seat if it is free
    bool force = false;                  ///< takes the seat from its holder, who becomes a reader
    std::optional<std::uint64_t> offset; ///< absent: from the current end
};

struct ConsoleClient {
    std::uint64_t id = 0;
    std::string who;
    bool writer = false;
    std::string session;
};

class Console {
  public:
    struct Settings {
        std::uint64_t history_limit = 8U << 20U; ///< bytes kept, at least; at most 1 MiB more
    };
    /// May call back into the Console, but must not destroy it.
    struct Observer {
        std::function<void(std::string_view)> input; ///< input that QEMU does not take
        /// `sent` may be called later, while the Console lives, or never; what is typed waits for
        /// it up to a second.
        std::function<void(std::function<void()> sent)> send_break;
        std::function<void()> changed;                   ///< clients came, went, or swapped seats
        std::function<void(const std::string&)> trouble; ///< sentence for the event log (disk full)
    };

    static Result<std::unique_ptr<Console>> open(Loop& loop, std::string log_path,
                                                 Settings settings, Observer observer);
    ~Console(); ///< clients see the socket close and may attach again to the next lomd

    /// Where QEMU takes serial input from now on; empty: nowhere. Either the FIFO `P.in` of
    /// `-chardev pipe,path=P,logfile=LOG,logappend=on` (with P.out a link to /dev/null; preferred:
    /// the log is exact whatever happens), or the path of a listening `-chardev socket`, which is
    /// connected while input is on its way.
    void use_socket(const std::string& path);
    /// While true, input goes to Observer::input even if QEMU would take it (the ok prompt).
    void divert_input(bool divert);
    /// The SP's own text on the console.
    void print(std::string_view text);

    /// The client's end of a new connection. Fault busy names the writer when `write` was asked
    /// without `force`, the seat is taken, and `read_only_ok` is false.
    Result<UniqueFd> attach(const AttachRequest& request, bool read_only_ok, std::uint64_t& id);
    void detach(std::uint64_t id, const std::string& reason);
    void detach_all(const std::string& reason);
    void detach_session(const std::string& session, const std::string& reason);
    /// The seat goes to that session's latest client, if it has one.
    void give_seat(const std::string& session);
    std::vector<ConsoleClient> clients() const;

    /// Retained bytes [offset, offset+limit) of the history; begins at start() if offset is older.
    Result<std::string> read(std::uint64_t offset, std::size_t limit) const;
    std::uint64_t start() const; ///< offset of the oldest retained byte
    std::uint64_t end() const;   ///< offset behind the newest
    /// Offset where the last `lines` lines begin (0: all that is retained).
    std::uint64_t offset_of_last_lines(std::size_t lines) const;

  private:
    struct Impl;
    explicit Console(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
