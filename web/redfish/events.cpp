#include "web/redfish/events.h"

#include "web/digest.h"
#include "web/redfish/resource.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace lom::web {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_change = 64U << 10U;
constexpr auto retry_every = 300ms;

/// Where a target of the tree shows itself in Redfish; the tree's own address where it does not.
std::string origin_of(const std::string& target) {
    if (target == "/System" || target == "/HOST" || target == "/SYS" ||
        target.starts_with("/HOST/bootmode"))
        return "/redfish/v1/Systems/host0";
    if (target.starts_with("/SP/services/kvms/host_storage_device"))
        return "/redfish/v1/Systems/host0/VirtualMedia/Cd";
    if (target == "/SP/sessions")
        return "/redfish/v1/SessionService/Sessions";
    if (target.starts_with("/SP/users/"))
        return "/redfish/v1/AccountService/Accounts/" + last_part(target);
    if (target == "/SP/users")
        return "/redfish/v1/AccountService/Accounts";
    if (target == "/SP/logs/event" || target == "/SP/logs/audit")
        return "/redfish/v1/Managers/sp/LogServices/" + last_part(target);
    if (target == "/SP")
        return "/redfish/v1/Managers/sp";
    return "/redfish/v1/Oem/OpenLOM/Tree" + (target == "/" ? "" : target);
}

const char* severity_of(const std::string& severity) {
    if (severity.empty() || severity == "info")
        return "OK";
    return severity == "minor" ? "Warning" : "Critical";
}

} // namespace

std::string redfish_event(const std::string& change, std::int64_t id, const std::string& context) {
    boost::system::error_code error;
    const json::value parsed = json::parse(change, error);
    if (error || !parsed.is_object())
        return "";
    const json::object& object = parsed.get_object();
    const std::string kind = fields::text(object, "kind");
    const std::string target = fields::text(object, "target");
    const std::string text = fields::text(object, "text");
    std::string name = "TargetChanged";
    json::array arguments{target};
    std::string message = target + " has changed.";
    if (kind == "property") {
        name = "PropertyChanged";
        const std::string property = fields::text(object, "property");
        arguments = {target, property, text};
        message = "The property " + property + " of " + target + " is now " + text + ".";
    } else if (kind == "event_log" || kind == "audit_log") {
        name = "LogEntryAdded";
        arguments = {target, text};
        message = text;
    } else if (kind == "missed") {
        name = "EventsMissed";
        arguments = {};
        message = "Some events were lost; read anew what you show.";
    }
    json::object event{
        {"EventType", "Other"},
        {"EventId", std::to_string(id)},
        {"MemberId", "0"},
        {"EventTimestamp", iso_now()},
        {"MessageId", "OpenLOM.1.0." + name},
        {"MessageArgs", std::move(arguments)},
        {"Message", message},
        {"MessageSeverity", severity_of(fields::text(object, "severity"))},
        {"OriginOfCondition", link_to(origin_of(target.empty() ? "/" : target))},
        {"Oem",
         json::object{{"OpenLOM", json::object{{"@odata.type", "#OpenLOM.v1_0_0.Change"},
                                               {"Kind", kind},
                                               {"Target", target},
                                               {"Property", fields::text(object, "property")},
                                               {"Text", text}}}}}};
    json::object whole{{"@odata.type", "#Event.v1_7_0.Event"},
                       {"Id", std::to_string(id)},
                       {"Name", "Event"},
                       {"Events", json::array{std::move(event)}}};
    if (!context.empty())
        whole["Context"] = context;
    return json::serialize(whole);
}

struct EventHub::Channel {
    std::weak_ptr<WebSession> session;
    std::string token;
    UniqueFd fd;
    Loop::Handle readable;
    Loop::Handle retry;
    std::vector<std::weak_ptr<Outflow>> flows;
};

EventHub::~EventHub() = default;

Task<Response> EventHub::stream(WebSessions::Ptr session) {
    auto& channel = channels_[session->token()];
    if (!channel) {
        channel = std::make_shared<Channel>();
        channel->session = session;
        channel->token = session->token();
    }
    const std::shared_ptr<Channel> mine = channel;
    if (!mine->fd) {
        const bool opened = co_await open(mine);
        if (!opened)
            co_return fault_response(
                {FaultKind::unavailable, "The service processor sends no events now."});
    }
    Response response;
    response.flow = std::make_shared<Outflow>();
    response.with("Content-Type", "text/event-stream; charset=utf-8");
    std::weak_ptr<Outflow> weak = response.flow;
    auto attachment = session->attach(
        [weak] {
            if (const auto flow = weak.lock())
                flow->close();
        },
        false);
    // The first bytes say that it works; a reader that was away reads everything anew.
    response.flow->push(": the events of this service processor\nretry: 1000\n\n");
    const std::string id = enlist(*session, response.flow);
    response.flow->ended = [this, attachment, id] {
        listeners_.erase(id);
        flows_.erase(id);
    };
    mine->flows.push_back(response.flow);
    co_return std::move(response);
}

std::string EventHub::enlist(const WebSession& session, const std::shared_ptr<Outflow>& flow) {
    const std::string id = "sse-" + std::to_string(next_listener_++);
    listeners_[id] = {id, random_hex(8), session.hello().session, session.hello().account};
    flows_[id] = flow;
    return id;
}

bool EventHub::close(const std::string& id) {
    const auto found = flows_.find(id);
    const auto flow = found == flows_.end() ? nullptr : found->second.lock();
    if (flow)
        flow->close();
    return flow != nullptr;
}

Task<bool> EventHub::open(std::shared_ptr<Channel> channel) {
    const auto session = channel->session.lock();
    if (!session || session->ended())
        co_return false;
    auto reply = co_await session->events();
    if (!reply || !reply->fd)
        co_return false;
    channel->fd = std::move(reply->fd);
    channel->readable =
        loop_.watch(channel->fd.get(), Loop::Wait::readable, [this, weak = std::weak_ptr(channel)] {
            if (const auto alive = weak.lock())
                on_readable(alive);
        });
    co_return true;
}

void EventHub::on_readable(const std::shared_ptr<Channel>& channel) {
    static std::string buffer(longest_change, '\0');
    for (int i = 0; i < 64; ++i) {
        const ssize_t count = recv(channel->fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0) { // lomd has gone, or the session has
            channel->readable.reset();
            channel->fd.reset();
            for (const auto& weak : channel->flows)
                if (const auto flow = weak.lock())
                    flow->push("event: away\ndata: {}\n\n");
            return again_soon(channel);
        }
        tell(channel, buffer.substr(0, static_cast<std::size_t>(count)));
    }
}

void EventHub::tell(const std::shared_ptr<Channel>& channel, const std::string& change) {
    std::erase_if(channel->flows, [](const auto& weak) {
        const auto flow = weak.lock();
        return !flow || flow->closed;
    });
    if (channel->flows.empty()) { // nobody listens any more
        channel->readable.reset();
        channel->fd.reset();
        channels_.erase(channel->token);
        return;
    }
    const std::int64_t id = next_id_++;
    const std::string event = redfish_event(change, id);
    if (event.empty())
        return;
    const std::string chunk = "id: " + std::to_string(id) + "\ndata: " + event + "\n\n";
    for (const auto& weak : channel->flows)
        if (const auto flow = weak.lock())
            flow->push(chunk);
}

void EventHub::again_soon(const std::shared_ptr<Channel>& channel) {
    channel->retry = loop_.after(retry_every, [this, weak = std::weak_ptr(channel)] {
        const auto alive = weak.lock();
        const auto session = alive ? alive->session.lock() : nullptr;
        if (!session || session->ended()) {
            if (alive)
                channels_.erase(alive->token);
            return;
        }
        detach<bool>(open(alive), [this, weak](bool opened) {
            const auto channel_now = weak.lock();
            if (!channel_now)
                return;
            if (opened)
                tell(channel_now, "{\"kind\":\"missed\",\"target\":\"/\"}");
            else
                again_soon(channel_now);
        });
    });
}

} // namespace lom::web
