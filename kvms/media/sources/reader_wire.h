// What lom-media and its readers (kvms/readers: one process for one connection to a server) say to
// each other over a socketpair. First lom-media sends a line of JSON with the task:
//     {"address":..,"port":..,"path":..,"username":..,"password":..}
// the reader answers with one line, {"size":..,"modified":..} when the file is open, else
// {"status":WORD,"detail":SENTENCE,"transient":BOOL} and ends. Then orders go one way and answers,
// each followed by its bytes, the other. Both ends are on one machine: numbers as they lie there.
#pragma once

#include <cstdint>

namespace lom::media {

struct ReadOrder {
    std::uint32_t request = 0;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;
};

struct ReadAnswer {
    std::uint32_t request = 0;
    /// How many bytes follow: fewer than ordered is no error, 0 is the end of the file.
    std::uint32_t length = 0;
};

/// As an answer's length: the server would not read this.
constexpr std::uint32_t read_refused = UINT32_MAX;
constexpr std::size_t longest_reader_line = 64U << 10U;

} // namespace lom::media
