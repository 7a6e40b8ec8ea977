#include "sp/service/ssh_lobby.h"

#include "sp/state/login_guard.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <vector>

namespace lom {

using namespace std::chrono_literals;

namespace {

// Less than any client's key exchange message.
constexpr std::uint64_t little = 256;

bool speaks(int socket) {
    int bytes = 0;
    return ioctl(socket, SIOCINQ, &bytes) == 0 && bytes > 0;
}

std::uint64_t bytes_received(int socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_bytes_received;
}

bool hung_up(int socket) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    constexpr int established = 1;
    return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
           info.tcpi_state != established;
}

} // namespace

void SshLobby::arrived(UniqueFd socket, const std::string& source) {
    if (waiting_.size() >= limits_.waiting) {
        const auto silent = std::find_if(waiting_.begin(), waiting_.end(),
                                         [](const Visitor& v) { return !speaks(v.socket.get()); });
        waiting_.erase(silent == waiting_.end() ? waiting_.begin() : silent);
    }
    waiting_.push_back({std::move(socket), source, source_of(source), Clock::now()});
    if (!look_again_)
        admit(); // else soon, with the others: each look asks the kernel about all
}

void SshLobby::logged_in(std::uint64_t id) {
    const auto found = guests_.find(id);
    if (found == guests_.end())
        return;
    found->second.stranger = false;
    found->second.socket.reset();
    admit();
}

void SshLobby::left(std::uint64_t id) {
    const auto found = guests_.find(id);
    if (found == guests_.end())
        return;
    // Whatever lom-ssh still does with it.
    if (found->second.socket)
        shutdown(found->second.socket.get(), SHUT_RDWR);
    guests_.erase(found);
    if (!waiting_.empty())
        look_again_ = loop_.after(0ms, [this] { admit(); });
}

void SshLobby::admit() {
    drop_impatient();
    while (!waiting_.empty() && admit_one()) {
    }
    look_again_ = waiting_.empty() ? nullptr : loop_.after(100ms, [this] { admit(); });
}

bool SshLobby::admit_one() {
    auto next = next_who_speaks();
    if (next == waiting_.end())
        next = next_who_is_silent();
    if (next == waiting_.end())
        return false;
    Visitor visitor = std::move(*next);
    waiting_.erase(next);
    const std::uint64_t id = next_id_++;
    const int socket = visitor.socket.get();
    const std::string source = visitor.source;
    visitor.since = Clock::now();
    guests_[id] = std::move(visitor);
    if (serve_(id, socket, source))
        return true;
    waiting_.push_front(std::move(guests_[id])); // it is tried again with the next look
    guests_.erase(id);
    return false;
}

bool SshLobby::has_place(const std::string& group) const {
    std::size_t strangers = 0;
    std::size_t same = 0;
    for (const auto& [id, guest] : guests_) {
        strangers += guest.stranger ? 1 : 0;
        same += guest.stranger && guest.group == group ? 1 : 0;
    }
    return guests_.size() < limits_.served && strangers < limits_.strangers &&
           same < limits_.strangers_of_a_source;
}

// The one that has been there longest for nothing goes: of the same source, if that has too many.
bool SshLobby::make_place(const std::string& group) {
    const auto now = Clock::now();
    std::size_t same = 0;
    for (const auto& [id, guest] : guests_)
        same += guest.stranger && guest.group == group ? 1 : 0;
    const bool of_the_source = same >= limits_.strangers_of_a_source;
    for (const auto& [id, guest] : guests_) { // in the order of their arrival
        if (!guest.stranger || (of_the_source && guest.group != group))
            continue;
        const std::uint64_t said = bytes_received(guest.socket.get());
        const auto there = now - guest.since;
        if ((said == 0 && there >= limits_.silence) ||
            (said < little && there >= limits_.slowness)) {
            left(id);
            return has_place(group);
        }
    }
    return false;
}

// Alternately the oldest and the newest: neither a burst of many nor a flood starves the others.
SshLobby::Waiting::iterator SshLobby::next_who_speaks() {
    std::vector<Waiting::iterator> speakers;
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it)
        if (speaks(it->socket.get()))
            speakers.push_back(it);
    if (std::exchange(newest_next_, !newest_next_))
        std::reverse(speakers.begin(), speakers.end());
    std::map<std::string, bool> asked; // making place is asked for once per source
    for (const auto& speaker : speakers) {
        const auto [known, first] = asked.try_emplace(speaker->group, false);
        if (first)
            known->second = has_place(speaker->group) || make_place(speaker->group);
        if (known->second)
            return speaker;
    }
    return waiting_.end();
}

SshLobby::Waiting::iterator SshLobby::next_who_is_silent() {
    std::map<std::string, bool> places;
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
        const auto [known, first] = places.try_emplace(it->group, false);
        if (first)
            known->second = has_place(it->group);
        if (known->second)
            return it;
    }
    return waiting_.end();
}

void SshLobby::drop_impatient() {
    const auto oldest = Clock::now() - limits_.patience;
    waiting_.remove_if([&](const Visitor& visitor) {
        return visitor.since < oldest ||
               (!speaks(visitor.socket.get()) && hung_up(visitor.socket.get()));
    });
}

} // namespace lom
