// What the readers have in common: programs that lom-media starts to read one file from one server,
// over a socketpair that is their standard input (kvms/media/sources/reader_wire.h). One thread;
// they end with the socketpair, whatever they wait for.
#pragma once

#include "base/result.h"
#include "kvms/media/engine/source.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace lom::readers {

struct Task {
    std::string address; ///< numeric
    std::uint16_t port = 0;
    std::string path; ///< absolute
    std::string username;
    std::string password;
};

/// As lom-media confines itself (kvms/media/confinement.h); takes at most 512 MiB of memory, leaves
/// no core dump, and ends with its parent. Fault: it did not succeed.
Result<void> confine(bool low_ports = false);

/// The first line on the socket. nullopt: nonsense, or nobody there.
std::optional<Task> receive_task();
/// Whether lom-media is still there to hear it; the programs end where it is not.
bool say_opened(const media::ImageFacts& facts);
void say(const media::Problem& problem);
/// False: end of orders.
bool receive_all(std::span<char> bytes);
bool send_all(std::span<const char> bytes);

} // namespace lom::readers
