#include "vmm/qmp.h"

#include <boost/json.hpp>

namespace json = boost::json;

namespace lom::vmm {

using namespace std::chrono_literals;

namespace {

constexpr auto connect_pause = 5ms;

std::string text(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

bool flag(const json::object& object, const char* name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

QmpFields fields_of(const json::value* value) {
    QmpFields fields;
    if (value == nullptr)
        return fields;
    fields.json = json::serialize(*value);
    if (const json::object* object = value->if_object()) {
        fields.reason = text(*object, "reason");
        fields.action = text(*object, "action");
        fields.id = text(*object, "id");
        fields.status = text(*object, "status");
        fields.node = text(*object, "node-name");
        fields.tray_open = flag(*object, "tray-open");
        fields.nospace = flag(*object, "nospace");
    }
    return fields;
}

} // namespace

std::string json_text(const std::string& value) { return json::serialize(json::value(value)); }

std::string inserted_file(const std::string& query_block, const std::string& id) {
    boost::system::error_code error;
    const json::value value = json::parse(query_block, error);
    const json::array* drives = error ? nullptr : value.if_array();
    if (drives == nullptr)
        return "";
    for (const json::value& entry : *drives) {
        const json::object* drive = entry.if_object();
        if (drive == nullptr)
            continue;
        const std::string device = text(*drive, "qdev");
        const json::value* inserted = drive->if_contains("inserted");
        if ((device == id || device == "/machine/peripheral/" + id) && inserted != nullptr &&
            inserted->is_object())
            return text(inserted->get_object(), "file");
    }
    return "";
}

Qmp::Qmp(Loop& loop, std::string path, std::chrono::milliseconds limit, Handlers handlers)
    : loop_(loop), path_(std::move(path)), handlers_(std::move(handlers)),
      deadline_(std::chrono::steady_clock::now() + limit) {
    timer_ = loop_.after(0ms, [this] { connect(); });
}

Qmp::~Qmp() { *alive_ = false; }

void Qmp::connect() {
    auto socket = connect_unix(path_);
    if (socket) {
        stream_ = std::make_unique<Stream>(
            loop_, std::move(*socket),
            Stream::Handlers{[this](std::string_view bytes, auto) { on_data(bytes); },
                             [this](const std::string& reason) { close(reason); }});
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline_ - std::chrono::steady_clock::now());
        timer_ = loop_.after(std::max(left, 0ms), [this] { close("QEMU does not answer"); });
        return;
    }
    if (std::chrono::steady_clock::now() > deadline_)
        return close("QEMU's monitor does not exist");
    timer_ = loop_.after(connect_pause, [this] { connect(); });
}

void Qmp::on_data(std::string_view bytes) {
    const auto alive = alive_; // a handler may destroy this object
    for (const char c : bytes) {
        if (c != '\n') {
            line_ += c;
            if (line_.size() > longest_line)
                return close("QEMU sent a line without end");
            continue;
        }
        on_line(std::exchange(line_, {}));
        if (!*alive || !stream_)
            return;
    }
}

void Qmp::on_line(const std::string& line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    const json::object* object = error ? nullptr : value.if_object();
    if (object == nullptr)
        return close("QEMU sent something that is not QMP");
    if (object->contains("QMP"))
        return execute("qmp_capabilities", "", [this](const Result<QmpFields>& done) {
            if (!done || ready_)
                return;
            ready_ = true;
            timer_.reset();
            handlers_.ready();
        });
    if (object->contains("event"))
        return handlers_.event(text(*object, "event"), fields_of(object->if_contains("data")));
    if (waiting_.empty())
        return;
    const Answer answer = std::move(waiting_.front());
    waiting_.pop_front();
    if (const json::value* result = object->if_contains("return"))
        return answer(fields_of(result));
    const json::value* fault = object->if_contains("error");
    answer(Fault{FaultKind::unavailable, fault != nullptr && fault->is_object()
                                             ? text(fault->get_object(), "desc")
                                             : "QEMU gave no reason."});
}

void Qmp::execute(const std::string& command, const std::string& arguments, Answer answer) {
    if (!stream_)
        return answer(Fault{FaultKind::unavailable, "QEMU is not connected."});
    waiting_.push_back(std::move(answer));
    stream_->send("{\"execute\":" + json_text(command) +
                  (arguments.empty() ? "" : ",\"arguments\":" + arguments) + "}\r\n");
}

void Qmp::close(const std::string& reason) {
    const auto alive = alive_;
    timer_.reset();
    stream_.reset();
    for (const Answer& answer : std::exchange(waiting_, {})) {
        answer(Fault{FaultKind::unavailable, "QEMU ended before it answered."});
        if (!*alive)
            return;
    }
    if (handlers_.closed)
        std::exchange(handlers_.closed, nullptr)(reason);
}

} // namespace lom::vmm
