// What is still to be asked of the server, and who waits for it: demanded granules in the order in
// which they were demanded, and before any that are only read ahead. Knows neither blocks' bytes
// nor requests. One thread.
#pragma once

#include "kvms/media/engine/block_cache.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

namespace lom::media {

class WantList {
  public:
    using Reader = std::uint64_t;
    /// Adjoining granules of one block.
    struct Piece {
        std::uint64_t index = 0;
        Granules granules = 0;
    };

    /// `reader` waits for `needed`, of which `unasked` have to be asked for.
    void demand(std::uint64_t index, Reader reader, Granules needed, Granules unasked);
    void ahead(std::uint64_t index, Granules unasked);
    /// The next piece of at most `most` granules; it counts as asked for.
    std::optional<Piece> next_demanded(unsigned most);
    std::optional<Piece> next_ahead(unsigned most);
    bool demands() const { return !demanded_.empty(); }
    bool idle() const { return demanded_.empty() && ahead_.empty(); }

    /// Whose granules of this block are all there now; they wait no longer.
    std::vector<Reader> arrived(std::uint64_t index, Granules valid);
    /// Everybody who waits for the block; nobody does any longer.
    std::vector<Reader> abandon(std::uint64_t index);
    /// Nothing is under way any more: what somebody waits for is to be asked for again.
    void ask_again(const std::function<Granules(std::uint64_t index)>& valid);
    /// Nobody waits any longer.
    void clear();

  private:
    struct Waiter {
        Reader reader = 0;
        Granules needed = 0;
    };
    struct Want {
        std::vector<Waiter> waiters;
        Granules demanded = 0; ///< not yet asked for
        Granules ahead = 0;    ///< the same
        bool empty() const { return waiters.empty() && demanded == 0 && ahead == 0; }
    };
    using Wants = std::unordered_map<std::uint64_t, Want>;

    std::optional<Piece> next(std::deque<std::uint64_t>& queue, Granules Want::*set, unsigned most);

    Wants wants_;
    std::deque<std::uint64_t> demanded_;
    std::deque<std::uint64_t> ahead_;
};

} // namespace lom::media
