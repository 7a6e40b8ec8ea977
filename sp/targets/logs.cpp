// /SP/logs: what happened, and who did what.
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

namespace lom {

namespace {

LogTable table_of(const Log& log, const std::string& title) {
    LogTable table{title,
                   {"ID", "Date/Time", "Class", "Type", "Severity", "Description"},
                   {5, 24, 8, 8, 8, 0},
                   {}};
    for (const LogEntry& entry : log.newest_first())
        table.rows.push_back({std::to_string(entry.id), clock_text(entry.time), entry.entry_class,
                              entry.type, entry.severity, entry.text});
    return table;
}

Target::Ptr log_target(const std::string& name, const std::string& title, const std::string& doc,
                       Log& log) {
    auto target = Target::make(name, doc);
    target->managed<bool>({.name = "clear",
                           .doc = "Set to true to delete all entries.",
                           .write = Role::admin,
                           .question = "Are you sure you want to clear /SP/logs/" + name,
                           .set = [&log](const Caller&, bool clear, const Property::Done& done) {
                               const auto cleared = clear ? log.clear() : Result<void>();
                               done(cleared ? Result<SetOutcome>(SetOutcome{}) : cleared.fault());
                           }});
    auto list = Target::make("list", "The entries, newest first.");
    list->table([&log, title] { return table_of(log, title); });
    target->child(list);
    return target;
}

} // namespace

Target::Ptr logs_target(const TargetContext& context) {
    auto target = Target::make("logs", "Event log and audit log.");
    target->child(log_target("audit", "Audit", "Who did what, through any door.", context.audit));
    target->child(log_target("event", "Event",
                             "What happened to hosts, media and the service "
                             "processor.",
                             context.events));
    return target;
}

} // namespace lom
