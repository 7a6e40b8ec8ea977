#include "kvms/console/escape.h"

#include <utility>

namespace lom::kvms {

namespace {

// Knuth-Morris-Pratt, because a sequence may begin inside its own beginning ("~~.").
std::vector<std::size_t> fallbacks(const std::string& sequence) {
    std::vector<std::size_t> result(sequence.size() + 1, 0);
    for (std::size_t i = 1, length = 0; i < sequence.size(); ++i) {
        while (length > 0 && sequence[i] != sequence[length])
            length = result[length];
        if (sequence[i] == sequence[length])
            ++length;
        result[i + 1] = length;
    }
    return result;
}

} // namespace

EscapeFilter::EscapeFilter(std::string sequence)
    : sequence_(std::move(sequence)), fallback_(fallbacks(sequence_)) {}

EscapeFilter::Fed EscapeFilter::feed(std::string_view bytes) {
    Fed fed;
    if (sequence_.empty()) {
        fed.pass = bytes;
        return fed;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        while (matched_ > 0 && sequence_[matched_] != bytes[i]) {
            const std::size_t kept = fallback_[matched_];
            fed.pass.append(sequence_, 0, matched_ - kept);
            matched_ = kept;
        }
        if (sequence_[matched_] != bytes[i])
            fed.pass += bytes[i];
        else if (++matched_ == sequence_.size()) {
            matched_ = 0;
            fed.escaped = true;
            fed.rest = bytes.substr(i + 1);
            return fed;
        }
    }
    return fed;
}

std::string EscapeFilter::flush() { return sequence_.substr(0, std::exchange(matched_, 0)); }

} // namespace lom::kvms
