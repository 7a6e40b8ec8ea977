#include "vmm/runtime_record.h"

#include "base/files.h"
#include "base/json_fields.h"

#include <algorithm>
#include <array>

namespace json = boost::json;

namespace lom::vmm {

namespace {

using namespace fields;

using Next = RuntimeRecord::Next;
constexpr std::array<const char*, 4> next_names = {"nothing", "off", "decide", "boot"};

BootPlan plan_of(const json::object& object) {
    BootPlan plan{.stop_at_ok = flag(object, "stop_at_ok"),
                  .order = {},
                  .firmware_setup = flag(object, "firmware_setup"),
                  .args = text(object, "args"),
                  .once = flag(object, "once")};
    for (const json::value& alias : list(object, "order"))
        if (alias.is_string())
            plan.order.emplace_back(alias.get_string());
    return plan;
}

json::object to_object(const BootPlan& plan) {
    return {{"stop_at_ok", plan.stop_at_ok},
            {"order", json::array(plan.order.begin(), plan.order.end())},
            {"firmware_setup", plan.firmware_setup},
            {"args", plan.args},
            {"once", plan.once}};
}

} // namespace

Result<void> save_runtime_record(const std::string& path, const RuntimeRecord& record) {
    return replace_file(
        path,
        json::serialize(json::object{{"pid", record.process.pid},
                                     {"start_time", record.process.start_time},
                                     {"next", next_names[static_cast<std::size_t>(record.next)]},
                                     {"plan", to_object(record.plan)},
                                     {"medium", record.medium}}),
        0600);
}

std::optional<RuntimeRecord> load_runtime_record(const std::string& path) {
    const auto content = read_file(path);
    boost::system::error_code error;
    const json::value value = content ? json::parse(*content, error) : json::value();
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return std::nullopt;
    RuntimeRecord record;
    record.process = {number<pid_t>(*object, "pid"), number<std::uint64_t>(*object, "start_time")};
    const auto named = std::find(next_names.begin(), next_names.end(), text(*object, "next"));
    record.next =
        named == next_names.end() ? Next::nothing : static_cast<Next>(named - next_names.begin());
    if (const json::value* plan = object->if_contains("plan"); plan != nullptr && plan->is_object())
        record.plan = plan_of(plan->get_object());
    record.medium = text(*object, "medium");
    return record;
}

} // namespace lom::vmm
