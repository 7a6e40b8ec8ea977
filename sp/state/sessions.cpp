#include "sp/state/sessions.h"

#include "base/random_text.h"

#include <array>
#include <ctime>
#include <iostream>

namespace lom {

namespace {

// A browser's session outlives the death of lom-web; the browser may be back only later.
constexpr std::chrono::minutes web_limit{15};

} // namespace

Sessions::Sessions(Loop& loop, Database& database, std::chrono::milliseconds grace)
    : loop_(loop), database_(database) {
    const auto rows =
        database_.query("SELECT id, ticket, account, source, type, started FROM sessions");
    if (!rows)
        return;
    for (const auto& row : *rows) {
        const auto id = std::get<std::int64_t>(row[0]);
        sessions_[id] = {id,
                         std::get<std::string>(row[1]),
                         std::get<std::string>(row[2]),
                         std::get<std::string>(row[3]),
                         std::get<std::string>(row[4]),
                         std::get<std::int64_t>(row[5]),
                         0};
    }
    grace_ = loop.after(grace, [this] {
        for (const Session& session : list())
            if (session.holders == 0 && session.type != "web")
                end(session.id);
    });
    for (const auto& [id, session] : sessions_)
        if (session.type == "web")
            end_unless_held(id, web_limit);
}

Session Sessions::begin(const std::string& account, const std::string& source,
                        const std::string& type) {
    Session session{0, random_ticket(), account, source, type, std::int64_t{time(nullptr)}, 0};
    while (sessions_.contains(++session.id)) {
    }
    const auto stored =
        database_.execute("INSERT INTO sessions(id, ticket, account, source, type, started) "
                          "VALUES(?, ?, ?, ?, ?, ?)",
                          {session.id, session.ticket, account, source, type, session.started});
    if (!stored)
        std::cerr << "lomd: session " << session.id << " ends with lomd: " << stored.fault().message
                  << "\n";
    sessions_[session.id] = session;
    return session;
}

std::optional<Session> Sessions::find(std::int64_t id) const {
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Session> Sessions::find_ticket(const std::string& ticket) const {
    for (const auto& [id, session] : sessions_)
        if (session.ticket == ticket)
            return session;
    return std::nullopt;
}

std::vector<Session> Sessions::list() const {
    std::vector<Session> all;
    for (const auto& [id, session] : sessions_)
        all.push_back(session);
    return all;
}

void Sessions::hold(std::int64_t id) {
    if (const auto found = sessions_.find(id); found != sessions_.end())
        ++found->second.holders;
}

void Sessions::release(std::int64_t id) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end() || --found->second.holders > 0)
        return;
    if (found->second.type == "web")
        return end_unless_held(id, web_limit);
    end(id);
}

void Sessions::end_unless_held(std::int64_t id, std::chrono::milliseconds limit) {
    waiting_[id] = loop_.after(limit, [this, id] {
        const auto session = find(id);
        if (session && session->holders == 0)
            end(id);
        else
            waiting_.erase(id);
    });
}

void Sessions::end(std::int64_t id) {
    if (sessions_.erase(id) == 0)
        return;
    waiting_.erase(id);
    (void)database_.execute("DELETE FROM sessions WHERE id=?", {id});
    for (const auto& listener : listeners_)
        listener(id);
}

void Sessions::touch(std::int64_t id) {
    if (const auto found = sessions_.find(id); found != sessions_.end())
        found->second.last_active = std::chrono::steady_clock::now();
}

void Sessions::end_idle(std::chrono::milliseconds limit) {
    const auto oldest = std::chrono::steady_clock::now() - limit;
    for (const Session& session : list())
        if (session.type == "shell" && session.last_active < oldest)
            end(session.id);
}

void Sessions::on_end(std::function<void(std::int64_t)> listener) {
    listeners_.push_back(std::move(listener));
}

void Sessions::end_all_of(const std::string& account) {
    for (const Session& session : list())
        if (session.account == account)
            end(session.id);
}

} // namespace lom
