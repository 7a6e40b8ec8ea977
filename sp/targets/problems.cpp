// What needs somebody's attention now: /System/Open_Problems, and /SP/faultmgmt for `show faulty`.
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

namespace {

Target::Ptr faults_target(const Problem& problem) {
    auto fault = Target::make("0", "A fault.");
    fault->shows<std::string>("component", "What it is about.",
                              [name = problem.subsystem] { return name; });
    fault->shows<std::string>("timestamp", "Since when.",
                              [since = problem.since] { return clock_text(since); });
    fault->shows<std::string>("sp_detected_fault", "What is wrong, in a sentence.",
                              [text = problem.text] { return text; });
    auto faults = Target::make("faults", "What is wrong with the component.");
    faults->child(fault);
    return faults;
}

Target::Ptr component_target(const std::string& number, const Problem& problem) {
    auto target = Target::make(number, "A component that something is wrong with.");
    target->shows<std::string>("fru", "The component's target.",
                               [path = problem.target] { return path; });
    target->child(faults_target(problem));
    return target;
}

} // namespace

Target::Ptr faultmgmt_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    auto target = Target::make("faultmgmt", "What is wrong now; `show faulty` is its table.");
    target->dynamic_children([&host] {
        std::vector<Target::Ptr> components;
        for (const Problem& problem : host.problems())
            components.push_back(component_target(std::to_string(components.size()), problem));
        return components;
    });
    return target;
}

} // namespace lom
