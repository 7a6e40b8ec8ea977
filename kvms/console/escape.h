// Finds the sequence that leaves a console ("#." by default) in what a person types. Sans-IO: the
// client feeds it bytes and drives its timer. Any thread, one owner; it never swallows a byte that
// is not part of the whole sequence.
//
// Convention: the sequence counts wherever it is typed, not only at the start of a line, and
// nothing inside it is an escape of its own: "##." is a '#' for the host, then the sequence. To
// send
// "#." to the host, pause after the '#' until the client's flush timer has passed it on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

class EscapeFilter {
  public:
    struct Fed {
        std::string pass;      ///< bytes for the host
        bool escaped = false;  ///< the sequence was completed behind them
        std::string_view rest; ///< what followed the sequence, not looked at
    };

    /// An empty sequence never matches.
    explicit EscapeFilter(std::string sequence = "#.");

    Fed feed(std::string_view bytes);
    /// A begun sequence is held back: call flush() when nothing follows within about a second.
    bool pending() const { return matched_ > 0; }
    /// Gives up the begun sequence; its bytes are for the host.
    std::string flush();

  private:
    std::string sequence_;
    std::vector<std::size_t> fallback_; ///< [n]: longest proper prefix that ends the first n bytes
    std::size_t matched_ = 0;           ///< bytes of the sequence seen and held back
};

} // namespace lom::kvms
