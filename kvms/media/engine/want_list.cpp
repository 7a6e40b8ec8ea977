#include "kvms/media/engine/want_list.h"

#include <algorithm>
#include <bit>

namespace lom::media {

namespace {

/// The lowest run of adjoining granules in `set`, which is not empty.
Granules first_run(Granules set, unsigned most) {
    const unsigned begin = static_cast<unsigned>(std::countr_zero(set));
    const unsigned length =
        std::min(static_cast<unsigned>(std::countr_one(set >> begin)), std::max(most, 1U));
    return (all_granules >> (32 - length)) << begin;
}

} // namespace

void WantList::demand(std::uint64_t index, Reader reader, Granules needed, Granules unasked) {
    Want& want = wants_[index];
    want.waiters.push_back({reader, needed});
    want.ahead &= ~unasked;
    if (want.demanded == 0 && unasked != 0)
        demanded_.push_back(index);
    want.demanded |= unasked;
}

void WantList::ahead(std::uint64_t index, Granules unasked) {
    if (unasked == 0)
        return;
    Want& want = wants_[index];
    if (want.ahead == 0)
        ahead_.push_back(index);
    want.ahead |= unasked & ~want.demanded;
}

std::optional<WantList::Piece> WantList::next(std::deque<std::uint64_t>& queue, Granules Want::*set,
                                              unsigned most) {
    while (!queue.empty()) {
        const std::uint64_t index = queue.front();
        const auto want = wants_.find(index);
        if (want == wants_.end() || want->second.*set == 0) { // came or went another way
            queue.pop_front();
            continue;
        }
        const Granules run = first_run(want->second.*set, most);
        want->second.*set &= ~run;
        if (want->second.*set == 0)
            queue.pop_front();
        if (want->second.empty())
            wants_.erase(want);
        return Piece{index, run};
    }
    return std::nullopt;
}

std::optional<WantList::Piece> WantList::next_demanded(unsigned most) {
    return next(demanded_, &Want::demanded, most);
}

std::optional<WantList::Piece> WantList::next_ahead(unsigned most) {
    return next(ahead_, &Want::ahead, most);
}

std::vector<WantList::Reader> WantList::arrived(std::uint64_t index, Granules valid) {
    std::vector<Reader> done;
    const auto found = wants_.find(index);
    if (found == wants_.end())
        return done;
    Want& want = found->second;
    std::erase_if(want.waiters, [&](const Waiter& waiter) {
        const bool complete = (waiter.needed & ~valid) == 0;
        if (complete)
            done.push_back(waiter.reader);
        return complete;
    });
    if (want.empty())
        wants_.erase(found);
    return done;
}

std::vector<WantList::Reader> WantList::abandon(std::uint64_t index) {
    std::vector<Reader> readers;
    const auto found = wants_.find(index);
    if (found == wants_.end())
        return readers;
    for (const Waiter& waiter : found->second.waiters)
        readers.push_back(waiter.reader);
    wants_.erase(found);
    return readers;
}

void WantList::ask_again(const std::function<Granules(std::uint64_t index)>& valid) {
    demanded_.clear();
    ahead_.clear();
    std::erase_if(wants_, [](const auto& entry) { return entry.second.waiters.empty(); });
    for (auto& [index, want] : wants_) {
        want.demanded = want.ahead = 0;
        for (const Waiter& waiter : want.waiters)
            want.demanded |= waiter.needed;
        want.demanded &= ~valid(index);
        demanded_.push_back(index);
    }
    std::sort(demanded_.begin(), demanded_.end());
}

void WantList::clear() {
    wants_.clear();
    demanded_.clear();
    ahead_.clear();
}

} // namespace lom::media
