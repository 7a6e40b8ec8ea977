#include "vmm/runtime_record.h"

#include "base/files.h"

#include <boost/json.hpp>

namespace json = boost::json;

namespace lom::vmm {

void save_runtime_record(const std::string& path, const RuntimeRecord& record) {
    // A full disk must not keep a host from starting; it only could not be adopted then.
    (void)write_file_durably(path,
                             json::serialize(json::object{{"pid", record.process.pid},
                                                          {"start_time", record.process.start_time},
                                                          {"once", record.once},
                                                          {"intent", record.intent}}),
                             0600);
}

std::optional<RuntimeRecord> load_runtime_record(const std::string& path) {
    const auto text = read_file(path);
    boost::system::error_code error;
    const json::value value = text ? json::parse(*text, error) : json::value();
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr || !object->contains("pid"))
        return std::nullopt;
    RuntimeRecord record;
    record.process.pid = object->at("pid").to_number<pid_t>(error);
    if (const json::value* start = object->if_contains("start_time"))
        record.process.start_time = start->to_number<std::uint64_t>(error);
    if (const json::value* once = object->if_contains("once"); once != nullptr && once->is_bool())
        record.once = once->get_bool();
    if (const json::value* intent = object->if_contains("intent");
        intent != nullptr && intent->is_bool())
        record.intent = intent->get_bool();
    return record;
}

} // namespace lom::vmm
