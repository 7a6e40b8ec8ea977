#include "vmm/qmp.h"

#include "base/json_fields.h"

#include <algorithm>
#include <utility>

namespace json = boost::json;

namespace lom::vmm {

namespace {

using namespace fields;

Fault not_qmp(std::string message) { return {FaultKind::unavailable, std::move(message)}; }

QmpFields fields_of(const json::object* object) {
    if (object == nullptr)
        return {};
    return {.reason = text(*object, "reason"),
            .id = text(*object, "id"),
            .device = text(*object, "device"),
            .status = text(*object, "status"),
            .action = text(*object, "action"),
            .node = text(*object, "node-name"),
            .tray_open = flag(*object, "tray-open"),
            .json = {},
            .time = {}};
}

std::chrono::system_clock::time_point time_of(const json::object* timestamp) {
    if (timestamp == nullptr)
        return {};
    return std::chrono::system_clock::time_point(
        std::chrono::seconds(number<std::uint32_t>(*timestamp, "seconds")) +
        std::chrono::microseconds(number<std::uint32_t>(*timestamp, "microseconds")));
}

std::uint64_t id_of(const json::object& object) {
    const json::value* value = object.if_contains("id");
    const std::int64_t* number = value == nullptr ? nullptr : value->if_int64();
    return number == nullptr || *number < 0 ? 0 : static_cast<std::uint64_t>(*number);
}

QmpMessage fault_of(const json::object& object) {
    const json::object* error = member(object, "error");
    QmpMessage message{.kind = QmpMessage::Kind::fault, .id = id_of(object)};
    if (error != nullptr)
        message.complaint = text(*error, "desc").substr(0, 500);
    if (message.complaint.empty())
        message.complaint = "QEMU refused without a reason";
    return message;
}

Result<QmpMessage> message_of(const std::string& line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return not_qmp("it sends something that is not QMP");
    if (object->contains("QMP"))
        return QmpMessage{.kind = QmpMessage::Kind::greeting};
    if (object->contains("event")) {
        QmpMessage message{.kind = QmpMessage::Kind::event,
                           .name = text(*object, "event"),
                           .data = fields_of(member(*object, "data"))};
        message.data.time = time_of(member(*object, "timestamp"));
        return message;
    }
    if (const json::value* result = object->if_contains("return")) {
        QmpMessage message{.kind = QmpMessage::Kind::answer,
                           .id = id_of(*object),
                           .data = fields_of(result->if_object())};
        message.data.json = json::serialize(*result);
        return message;
    }
    if (object->contains("error"))
        return fault_of(*object);
    return not_qmp("it sends JSON that is not QMP");
}

} // namespace

Result<std::vector<QmpMessage>> QmpReader::feed(std::string_view bytes) {
    std::vector<QmpMessage> messages;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        line_.append(bytes.substr(0, end));
        if (line_.size() > longest_line)
            return not_qmp("it sends a line without end");
        if (end == std::string_view::npos)
            break;
        bytes.remove_prefix(end + 1);
        const std::string line = std::exchange(line_, {});
        if (line.find_first_not_of("\r\t ") == std::string::npos)
            continue;
        auto message = message_of(line);
        if (!message)
            return message.fault();
        messages.push_back(std::move(*message));
    }
    return messages;
}

std::string qmp_command(std::uint64_t id, const std::string& command,
                        const std::string& arguments) {
    return "{\"execute\":" + json_text(command) + ",\"id\":" + std::to_string(id) +
           (arguments.empty() ? "" : ",\"arguments\":" + arguments) + "}\r\n";
}

std::string json_text(const std::string& value) { return json::serialize(json::value(value)); }

std::vector<QmpDrive> drives_of(const std::string& query_block) {
    std::vector<QmpDrive> drives;
    boost::system::error_code error;
    const json::value value = json::parse(query_block, error);
    const json::array* entries = error ? nullptr : value.if_array();
    if (entries == nullptr)
        return drives;
    const std::string prefix = "/machine/peripheral/"; // qdev is an id or a path with one in it
    for (const json::value& entry : *entries) {
        const json::object* object = entry.if_object();
        if (object == nullptr)
            continue;
        QmpDrive drive{.id = text(*object, "qdev"),
                       .node = {},
                       .file = {},
                       .io_status = text(*object, "io-status"),
                       .tray_open = flag(*object, "tray_open")};
        if (drive.id.starts_with(prefix))
            drive.id =
                drive.id.substr(prefix.size(), drive.id.find('/', prefix.size()) - prefix.size());
        if (const json::object* inserted = member(*object, "inserted")) {
            drive.node = text(*inserted, "node-name");
            drive.file = text(*inserted, "file");
            drive.read_only = flag(*inserted, "ro", true);
        }
        drives.push_back(std::move(drive));
    }
    return drives;
}

std::vector<std::string> nodes_of(const std::string& query_named_block_nodes,
                                  const std::string& prefix) {
    std::vector<std::string> nodes;
    boost::system::error_code error;
    const json::value value = json::parse(query_named_block_nodes, error);
    const json::array* entries = error ? nullptr : value.if_array();
    if (entries == nullptr)
        return nodes;
    for (const json::value& entry : *entries)
        if (const json::object* object = entry.if_object())
            if (std::string node = text(*object, "node-name"); node.starts_with(prefix))
                nodes.push_back(std::move(node));
    // The longer number is the larger one.
    std::sort(nodes.begin(), nodes.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    return nodes;
}

} // namespace lom::vmm
