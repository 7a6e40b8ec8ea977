// Where connections wait until a lom-ssh may serve them. Strangers share few places: those who
// speak go before those who are silent, no source has all places, and whoever holds one in silence
// makes way. Looks at nothing that a connection sent, only at how much. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>

namespace lom {

class SshLobby {
  public:
    struct Limits {
        std::size_t strangers = 128; ///< served before their login
        std::size_t strangers_of_a_source = 64;
        std::size_t served = 620; ///< with those who logged in
        std::size_t waiting = 1024;
        std::chrono::milliseconds patience{60'000}; ///< of the waiting
        std::chrono::milliseconds silence{500};     ///< then a silent one makes way
        std::chrono::milliseconds slowness{4000};   ///< then one that said too little does
    };
    /// Has the connection served; false: not now, it goes on waiting.
    using Serve = std::function<bool(std::uint64_t id, int socket, const std::string& source)>;

    SshLobby(Loop& loop, Limits limits, Serve serve)
        : loop_(loop), limits_(limits), serve_(std::move(serve)) {}

    void arrived(UniqueFd socket, const std::string& source);
    void logged_in(std::uint64_t id);
    void left(std::uint64_t id);
    std::size_t served() const { return guests_.size(); }
    std::size_t waiting() const { return waiting_.size(); }

  private:
    using Clock = std::chrono::steady_clock;
    struct Visitor {
        UniqueFd socket; ///< ours beside lom-ssh's own, until the login: to cut it off
        std::string source;
        std::string group; ///< what counts as one source
        Clock::time_point since;
        bool stranger = true;
    };
    using Waiting = std::list<Visitor>;

    void admit();
    bool admit_one();
    bool has_place(const std::string& group) const;
    bool make_place(const std::string& group);
    Waiting::iterator next_who_speaks();
    Waiting::iterator next_who_is_silent();
    void drop_impatient();

    Loop& loop_;
    Limits limits_;
    Serve serve_;
    Waiting waiting_;
    std::map<std::uint64_t, Visitor> guests_;
    std::uint64_t next_id_ = 1;
    bool newest_next_ = false;
    Loop::Handle look_again_;
};

} // namespace lom
