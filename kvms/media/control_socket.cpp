#include "kvms/media/control_socket.h"

#include "base/json_fields.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <sys/socket.h>

namespace json = boost::json;

namespace lom::media {

namespace {
constexpr std::size_t max_line = 4096;
constexpr std::size_t max_clients = 16;
constexpr std::size_t max_queued = 256U << 10U;
} // namespace

std::string to_json(const Report& report) {
    json::object object;
    object["status"] = std::string(word(report.status));
    object["detail"] = report.detail;
    object["uri"] = report.uri;
    object["size"] = report.size;
    object["volume_id"] = report.volume_id;
    object["confinement"] = report.confinement;
    object["host_key_type"] = report.host_key_type;
    object["host_key_fingerprint"] = report.host_key_fingerprint;
    object["bytes_read"] = report.bytes_read;
    object["rate"] = report.rate;
    object["latency"] = report.latency;
    object["cache_hits"] = report.cache_hits;
    object["fill"] = report.fill;
    object["ejected"] = report.ejected;
    object["holding"] = report.holding;
    object["identity"] = report.identity;
    object["last_error"] = report.last_error;
    object["since"] = report.since;
    object["tries"] = report.tries;
    return json::serialize(object) + "\n";
}

ControlSocket::ControlSocket(Loop& loop, UniqueFd listener, Handlers handlers)
    : loop_(loop), listener_(std::move(listener)), handlers_(std::move(handlers)) {
    acceptable_ = loop_.watch(listener_.get(), Loop::Wait::readable, [this] { accept_client(); });
}

void ControlSocket::accept_client() {
    UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd || clients_.size() >= max_clients)
        return;
    const auto client = clients_.emplace(clients_.end());
    client->stream = std::make_unique<Stream>(
        loop_, std::move(fd),
        Stream::Handlers{
            [this, client](std::string_view bytes, const auto&) { on_data(client, bytes); },
            [this, client](const std::string&) { clients_.erase(client); }},
        max_queued);
    if (!last_.empty())
        client->stream->send(last_);
}

void ControlSocket::publish(const Report& report) {
    last_ = to_json(report);
    for (Client& client : clients_)
        client.stream->send(last_);
}

void ControlSocket::on_data(Clients::iterator client, std::string_view bytes) {
    // Commands are obeyed after the bytes are put away: `stop` and `eject` publish to all clients.
    client->line.append(bytes);
    for (std::size_t end = 0; (end = client->line.find('\n')) != std::string::npos;) {
        const std::string line = client->line.substr(0, end);
        client->line.erase(0, end + 1);
        obey(line);
    }
    if (client->line.size() > max_line)
        client->line.clear(); // no command of ours is that long
}

void ControlSocket::obey(const std::string& line) {
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object())
        return;
    const std::string command = fields::text(value.get_object(), "command");
    const std::chrono::seconds limit(fields::number<std::uint32_t>(value.get_object(), "limit"));
    if (command == "eject")
        handlers_.eject();
    else if (command == "stop")
        handlers_.stop();
    else if (command == "hold" || command == "report")
        handlers_.hold(command == "hold", limit);
}

} // namespace lom::media
