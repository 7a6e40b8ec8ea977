#include "web/streams.h"

#include "web/digest.h"
#include "web/json.h"
#include "web/redfish/messages.h"

#include <cstdlib>

namespace lom::web {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto ticket_life = 60s;
constexpr std::size_t most_tickets = 1000;
constexpr std::string_view serial = "/console/serial";
constexpr std::string_view screen = "/console/screen";
constexpr std::string_view media = "/console/media"; // a page feeds the drive
constexpr std::string_view tickets = "/redfish/v1/Oem/OpenLOM/Tickets";

bool is_set(const Request& request, const char* name) {
    const auto found = request.query.find(name);
    return found != request.query.end() && found->second != "0" && found->second != "false";
}

/// The descriptor as what the server's connection becomes.
Response upgrade_to(Upgrade::Kind kind, UniqueFd fd, const WebSessions::Ptr& session) {
    Response response;
    response.status = 101;
    response.upgrade.kind = kind;
    response.upgrade.fd = std::move(fd);
    const auto cut = std::make_shared<bool>(false);
    const auto wake = std::make_shared<std::function<void()>>();
    const auto attachment = session->attach(
        [cut, wake] {
            *cut = true;
            if (*wake)
                (*wake)();
        },
        true);
    response.upgrade.cut = cut;
    response.upgrade.wake = wake;
    response.upgrade.ended = [attachment] {}; // held until then
    return response;
}

} // namespace

bool Streams::is_one(const std::string& uri) {
    return uri == serial || uri == screen || uri == media || uri == tickets;
}

Response Streams::make_ticket(const WebSessions::Ptr& session) {
    const auto now = Clock::now();
    std::erase_if(tickets_, [now](const auto& entry) { return entry.second.until < now; });
    if (tickets_.size() >= most_tickets)
        return fault_response({FaultKind::busy, "Too many tickets wait; try again in a minute."});
    const std::string ticket = random_hex(32);
    tickets_[ticket] = {session, now + ticket_life};
    return json_response(201, json::object{{"Ticket", ticket}, {"Seconds", ticket_life.count()}});
}

/// Whose it is; it is used up by that.
WebSessions::Ptr Streams::redeem(const std::string& ticket) {
    const auto found = tickets_.find(ticket);
    if (found == tickets_.end())
        return nullptr;
    const Ticket entry = found->second;
    tickets_.erase(found);
    const auto session = entry.session.lock();
    return entry.until >= Clock::now() && session && !session->ended() ? session : nullptr;
}

Task<Response> Streams::answer(const Request& request, WebSessions::Ptr session) {
    if (const auto ticket = request.query.find("ticket"); !session && ticket != request.query.end())
        session = redeem(ticket->second);
    if (!session) {
        const Message message{"NoValidSession", {}};
        co_return error_response(401, message);
    }
    if (request.path == tickets) {
        if (request.method == "POST")
            co_return make_ticket(session);
        co_return method_refused("POST");
    }
    if (!request.wants_websocket || request.method != "GET") {
        Response refused;
        refused.status = 426;
        co_return std::move(refused.with("Upgrade", "websocket"));
    }
    auto response = co_await open(request, session);
    co_return std::move(response);
}

namespace {

/// What to run in the tree for the websocket that is asked for.
control::RunRequest order_of(const Request& request) {
    control::RunRequest order;
    order.verb = "start";
    order.force = is_set(request, "force");
    const auto pass_on = [&](const char* name) {
        if (const auto value = request.query.find(name); value != request.query.end())
            order.properties.emplace_back(name, value->second);
    };
    if (request.path == screen) {
        order.target = "/HOST/screen";
        pass_on("access");
    } else if (request.path == media) {
        order.target = "/SP/services/kvms/host_storage_device/local";
        pass_on("file");
        pass_on("resume");
    } else {
        order.target = "/HOST/console";
        if (const auto offset = request.query.find("offset"); offset != request.query.end()) {
            order.console_offset = std::strtoull(offset->second.c_str(), nullptr, 10);
            order.resumed = is_set(request, "resumed");
        }
    }
    return order;
}

} // namespace

Task<Response> Streams::open(const Request& request, WebSessions::Ptr session) {
    auto wanted = order_of(request);
    auto reply = co_await session->run(std::move(wanted));
    if (!reply)
        co_return fault_response(reply.fault());
    if (!reply->fd) {
        const Fault nothing{FaultKind::unavailable, "The service processor gave no stream."};
        co_return fault_response(nothing);
    }
    co_return upgrade_to(request.path == serial ? Upgrade::Kind::console : Upgrade::Kind::bytes,
                         std::move(reply->fd), session);
}

} // namespace lom::web
