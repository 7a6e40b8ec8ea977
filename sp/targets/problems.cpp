// /System/Open_Problems: what needs somebody's attention now.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

namespace lom {

Target::Ptr open_problems_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    auto target = Target::make("Open_Problems", "What needs somebody's attention now.");
    target->note([&host](const Caller&) { return std::to_string(host.problems().size()); });
    target->table([&host] {
        LogTable table{"Open Problems",
                       {"Date/Time", "Subsystems", "Component", "Description"},
                       {24, 18, 12, 0},
                       {}};
        for (const Problem& problem : host.problems())
            table.rows.push_back(
                {clock_text(problem.since), problem.subsystem, problem.component, problem.text});
        table.title += " (" + std::to_string(table.rows.size()) + ")";
        return table;
    });
    return target;
}

} // namespace lom
