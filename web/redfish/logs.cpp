// The event log and the audit log as LogServices; the host's part of the event log under the
// system.
#include "web/redfish/resource.h"

namespace lom::web {

namespace {

const std::string manager_logs = "/redfish/v1/Managers/sp/LogServices";
const std::string system_logs = "/redfish/v1/Systems/host0/LogServices";

enum Column { id, time, entry_class, type, severity, description };

/// One log: where it shows itself, and which entries of which book are in it.
struct Book {
    std::string uri;
    std::string target; ///< of the tree
    std::string title;
    std::vector<std::string> classes; ///< empty: all
    bool clears = false;

    bool has(const std::vector<std::string>& row) const {
        if (row.size() <= description)
            return false;
        for (const std::string& wanted : classes)
            if (row[entry_class] == wanted)
                return true;
        return classes.empty();
    }
};

std::vector<Book> books() {
    return {{manager_logs + "/event", "/SP/logs/event", "Event log", {}, true},
            {manager_logs + "/audit", "/SP/logs/audit", "Audit log", {}, true},
            {system_logs + "/event", "/SP/logs/event", "Event log of the host", {"Host", "Media"}}};
}

const char* redfish_severity(const std::string& text) {
    if (text == "info")
        return "OK";
    return text == "minor" ? "Warning" : "Critical";
}

json::object entry(const Book& book, const std::vector<std::string>& row) {
    return {
        {"@odata.id", book.uri + "/Entries/" + row[id]},
        {"@odata.type", "#LogEntry.v1_17_0.LogEntry"},
        {"Id", row[id]},
        {"Name", book.title + " entry " + row[id]},
        {"EntryType", "Event"},
        {"MessageId", "OpenLOM.1.0.LogEntry"},
        {"MessageArgs", json::array{row[description]}},
        {"Created", iso_time(row[time])},
        {"Severity", redfish_severity(row[severity])},
        {"Message", row[description]},
        {"Oem", json::object{{"OpenLOM", json::object{{"@odata.type", "#OpenLOM.v1_0_0.LogEntry"},
                                                      {"Class", row[entry_class]},
                                                      {"Type", row[type]},
                                                      {"Severity", row[severity]}}}}}};
}

const std::vector<std::vector<std::string>>& rows(const Scope& scope, const Book& book) {
    static const std::vector<std::vector<std::string>> none;
    const auto* view = scope.view(book.target + "/list");
    return view != nullptr && view->table ? view->table->rows : none;
}

Resource services(const std::string& owner) {
    Resource collection(owner, "LogServiceCollection.LogServiceCollection");
    collection.constant("Name", "Logs");
    collection.members([owner](const Scope&) {
        std::vector<std::string> uris;
        for (const Book& book : books())
            if (book.uri.starts_with(owner + "/"))
                uris.push_back(book.uri);
        return uris;
    });
    return collection;
}

Resource service(const Book& book) {
    Resource one(book.uri, "LogService.v1_8_0.LogService");
    one.constant("Id", json::value(last_part(book.uri))).constant("Name", json::value(book.title));
    one.constant("ServiceEnabled", true).constant("OverWritePolicy", "WrapsWhenFull");
    one.constant("MaxNumberOfRecords", 2048).constant("LogEntryType", "Event");
    one.constant("DateTimeLocalOffset", "+00:00");
    one.changing("DateTime", [](const Scope&) { return json::value(iso_now()); });
    one.constant("Status", json::object{{"State", "Enabled"}, {"Health", "OK"}});
    one.link("Entries", book.uri + "/Entries");
    if (book.clears)
        one.action({"LogService.ClearLog",
                    {},
                    [target = book.target](Scope& scope, json::object) -> Task<Response> {
                        const auto done = co_await set_in_tree(scope, target, "clear", "true");
                        co_return done ? no_content() : fault_response(done.fault());
                    }});
    return one;
}

Resource entries(const Book& book) {
    Resource collection(book.uri + "/Entries", "LogEntryCollection.LogEntryCollection");
    collection.shows(book.target + "/list").constant("Name", json::value(book.title + " entries"));
    collection.inline_members([book](const Scope& scope) {
        std::vector<json::object> members;
        for (const auto& row : rows(scope, book))
            if (book.has(row))
                members.push_back(entry(book, row));
        return members;
    });
    return collection;
}

Resource one_entry(const Book& book) {
    Resource one(book.uri + "/Entries/{}", "LogEntry.v1_17_0.LogEntry");
    one.shows(book.target + "/list");
    one.body([book](const Scope& scope) -> json::object {
        for (const auto& row : rows(scope, book))
            if (book.has(row) && row[id] == scope.ids[0])
                return entry(book, row);
        return {};
    });
    return one;
}

} // namespace

void declare_logs(std::vector<Resource>& all) {
    all.push_back(services(manager_logs));
    all.push_back(services(system_logs));
    for (const Book& book : books()) {
        all.push_back(service(book));
        all.push_back(entries(book));
        all.push_back(one_entry(book));
    }
}

} // namespace lom::web
