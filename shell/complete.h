// What Tab offers at the cursor. Asks the tree for descriptions, changes nothing. One thread.
#pragma once

#include "shell/tree.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lom::shell {

struct Candidate {
    std::string text; ///< replaces the typed part
    std::string doc;  ///< one line of help
    std::string tail; ///< what follows once it is the only one: " ", "/", "="
};

struct Completion {
    std::size_t begin = 0; ///< in the line: where the typed part starts
    std::vector<Candidate> candidates;

    /// What all candidates begin with (case as they print it).
    std::string common() const;
};

/// `line` up to the cursor.
Completion complete(Tree& tree, std::string_view current, std::string_view line);
/// The list that a second Tab shows.
std::string render_candidates(const Completion& completion, std::size_t width);

} // namespace lom::shell
