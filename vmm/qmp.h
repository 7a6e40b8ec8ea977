// QEMU's machine protocol (QMP) without the socket: bytes in, messages out. What comes from QEMU
// is hostile: lines are bounded, JSON is parsed without exceptions, unknown members are ignored.
// Any thread, one owner.
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lom::vmm {

/// The members of an event's or answer's data that the host looks at.
struct QmpFields {
    std::string reason; ///< SHUTDOWN, RESET
    std::string id;     ///< DEVICE_TRAY_MOVED
    std::string device; ///< DEVICE_DELETED
    std::string status; ///< query-status
    std::string action; ///< BLOCK_IO_ERROR: "stop", "report"
    std::string node;   ///< BLOCK_IO_ERROR
    bool tray_open = false;
    std::string json; ///< all of an answer, as text
    /// Of an event, by the system's clock; 1970 where QEMU does not say.
    std::chrono::system_clock::time_point time;
};

struct QmpMessage {
    enum class Kind { greeting, event, answer, fault };
    Kind kind = Kind::event;
    std::string name;      ///< of the event
    std::uint64_t id = 0;  ///< of the command that is answered; 0: none of ours
    QmpFields data;        ///< of the event or answer
    std::string complaint; ///< QEMU's words for a fault
};

class QmpReader {
  public:
    static constexpr std::size_t longest_line = 1U << 20U;

    /// A fault says why this is not QMP; nothing more is to be read from that connection.
    Result<std::vector<QmpMessage>> feed(std::string_view bytes);

  private:
    std::string line_; ///< begun, without its end
};

/// One command line; `arguments` is a JSON object or empty.
std::string qmp_command(std::uint64_t id, const std::string& command, const std::string& arguments);
/// A JSON string literal.
std::string json_text(const std::string& text);

/// A device with a drive behind it, from the answer to query-block.
struct QmpDrive {
    std::string id;        ///< device id
    std::string node;      ///< inserted medium; empty: none
    std::string file;      ///< its file name
    std::string io_status; ///< ok, failed, nospace
    bool tray_open = false;
    bool read_only = true;
};
std::vector<QmpDrive> drives_of(const std::string& query_block);
/// The nodes whose names begin so, from the answer to query-named-block-nodes, sorted by number.
std::vector<std::string> nodes_of(const std::string& query_named_block_nodes,
                                  const std::string& prefix);

} // namespace lom::vmm
