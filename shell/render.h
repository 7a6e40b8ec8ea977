// The shapes in which targets are printed. Pure functions of plain data; any thread.
#pragma once

#include "sp/control/messages.h"

#include <cstddef>
#include <string>

namespace lom::shell {

struct Sections {
    bool targets = true;
    bool properties = true;
    bool commands = true;
    bool narrowed = false; ///< only part of the target was asked for: the path is indented by two
};

/// The blocks of `view` and of every expanded target below it.
std::string render_blocks(const control::TargetView& view, const Sections& sections,
                          std::size_t width);
/// Target | Property | Value
std::string render_property_table(const control::TargetView& view);
std::string render_json(const control::TargetView& view, const Sections& sections);
/// A log with its columns.
std::string render_log(const control::Table& table);

} // namespace lom::shell
