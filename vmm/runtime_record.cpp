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

void add_media(json::object& object, const PerDrive<Medium>& media) {
    for (const DriveId drive : all_drives) {
        const Medium& medium = media[index_of(drive)];
        if (medium.present())
            object[traits_of(drive).record] = json::object{
                {"file", medium.file}, {"writable", medium.writable}, {"local", medium.local}};
    }
}

Medium medium_of(const json::object& object, const char* name) {
    if (std::string file = text(object, name); !file.empty())
        return {.file = std::move(file)}; // as version 0.1 wrote it
    const json::object* medium = member(object, name);
    if (medium == nullptr)
        return {};
    return {text(*medium, "file"), flag(*medium, "writable"), flag(*medium, "local")};
}

} // namespace

Result<void> save_runtime_record(const std::string& path, const RuntimeRecord& record) {
    json::object object{{"pid", record.process.pid},
                        {"start_time", record.process.start_time},
                        {"next", next_names[static_cast<std::size_t>(record.next)]},
                        {"plan", to_object(record.plan)},
                        {"starts_again", record.starts_again}};
    add_media(object, record.media);
    return replace_file(path, json::serialize(object), 0600);
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
    record.starts_again = flag(*object, "starts_again");
    for (const DriveId drive : all_drives)
        record.media[index_of(drive)] = medium_of(*object, traits_of(drive).record);
    return record;
}

} // namespace lom::vmm
