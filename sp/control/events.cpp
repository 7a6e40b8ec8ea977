#include "sp/control/events.h"

#include "sp/control/wire.h"

#include <boost/json.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <deque>

namespace json = boost::json;

namespace lom::control {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_waiting = 512;
constexpr std::size_t most_subscribers = 2048;
constexpr std::size_t longest_text = 8U << 10U; // a message must fit the socket's buffer
constexpr auto together = 50ms;

std::string message_of(const Change& change) {
    json::object object{{"kind", change.kind}};
    const auto put = [&](const char* name, const std::string& value) {
        if (!value.empty())
            object[name] = valid_utf8(std::string_view(value).substr(0, longest_text));
    };
    put("target", change.target);
    put("property", change.property);
    put("text", change.text);
    put("severity", change.severity);
    if (change.id != 0)
        object["id"] = change.id;
    return json::serialize(object);
}

} // namespace

struct Events::Subscriber {
    UniqueFd fd;
    std::deque<std::string> waiting;
    Loop::Handle gone;
    Loop::Handle writable;

    /// False: the reader has left.
    bool flush() {
        while (!waiting.empty()) {
            const std::string& text = waiting.front();
            if (send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
            waiting.pop_front();
        }
        writable.reset();
        return true;
    }
};

Events::Events(Loop& loop) : loop_(loop) {}
Events::~Events() = default;

void Events::publish(const Change& change) {
    if (subscribers_.empty())
        return;
    const std::string text = message_of(change);
    std::vector<std::uint64_t> left;
    for (const auto& [id, subscriber] : subscribers_) {
        if (subscriber->waiting.size() >= most_waiting) {
            subscriber->waiting.clear();
            subscriber->waiting.push_back(message_of({.kind = "missed"}));
        }
        subscriber->waiting.push_back(text);
        if (!subscriber->writable && !subscriber->flush()) {
            left.push_back(id);
        } else if (!subscriber->waiting.empty() && !subscriber->writable) {
            subscriber->writable =
                loop_.watch(subscriber->fd.get(), Loop::Wait::writable, [this, number = id] {
                    if (!subscribers_.at(number)->flush())
                        unsubscribe(number);
                });
        }
    }
    for (const std::uint64_t id : left)
        unsubscribe(id);
}

void Events::target_changed(const std::string& path) {
    changed_.insert(path);
    if (!soon_)
        soon_ = loop_.after(together, [this] { flush_targets(); });
}

void Events::flush_targets() {
    soon_.reset();
    for (const std::string& path : std::exchange(changed_, {}))
        publish({.kind = "target", .target = path});
}

Result<UniqueFd> Events::subscribe(std::uint64_t& id) {
    int ends[2];
    if (subscribers_.size() >= most_subscribers ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return Fault{FaultKind::unavailable, "Too many readers of events; close some first."};
    UniqueFd theirs(ends[1]);
    id = next_id_++;
    auto subscriber = std::make_unique<Subscriber>();
    subscriber->fd.reset(ends[0]);
    // Nothing is ever sent to us: readable means that the reader has closed its end.
    subscriber->gone =
        loop_.watch(ends[0], Loop::Wait::readable, [this, number = id] { unsubscribe(number); });
    subscribers_[id] = std::move(subscriber);
    return theirs;
}

void Events::unsubscribe(std::uint64_t id) { subscribers_.erase(id); }

} // namespace lom::control
