// The unix socket on which lomd follows one lom-media and finds it again after a restart: every
// client gets the report as a JSON line when it connects and whenever it changes, and may send
// {"command":"eject"}, {"command":"stop"}, or what is to become of reads while the source is away:
// {"command":"hold","limit":SECONDS} or {"command":"report"}. Anything else is ignored. Loop thread
// only.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "base/stream.h"
#include "kvms/media/status.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

namespace lom::media {

struct Report {
    Status status = Status::connecting;
    std::string detail;
    std::string uri;
    std::uint64_t size = 0;
    std::string volume_id;
    std::string confinement; ///< what holds of it
    std::string host_key_type;
    std::string host_key_fingerprint;
    std::uint64_t bytes_read = 0;
    std::uint64_t rate = 0;       ///< bytes a second from the source, lately
    std::uint64_t latency = 0;    ///< microseconds of the fastest replies lately; 0: unknown
    std::uint64_t cache_hits = 0; ///< percent of the bytes asked of us that were here already
    std::uint64_t fill = 0;       ///< percent of the image that needs no source any more
    bool ejected = false;
    bool holding = false;    ///< a read that cannot be served holds the guest
    std::string identity;    ///< of the image: another image has another one
    std::string last_error;  ///< of the source, also when that is over
    std::int64_t since = 0;  ///< when the source went away, seconds since 1970; 0: it is there
    std::uint64_t tries = 0; ///< to reach it since then
    bool operator==(const Report&) const = default;
};

/// One line with its newline.
std::string to_json(const Report& report);

class ControlSocket {
  public:
    struct Handlers {
        std::function<void()> eject;
        std::function<void()> stop;
        std::function<void(bool hold, std::chrono::seconds limit)> hold;
    };

    /// `listener` comes from listen_unix().
    ControlSocket(Loop& loop, UniqueFd listener, Handlers handlers);

    void publish(const Report& report);

  private:
    struct Client {
        std::unique_ptr<Stream> stream;
        std::string line; ///< what came of the next one
    };
    using Clients = std::list<Client>;

    void accept_client();
    void on_data(Clients::iterator client, std::string_view bytes);
    void obey(const std::string& line);

    Loop& loop_;
    UniqueFd listener_;
    Handlers handlers_;
    Clients clients_;
    std::string last_;
    Loop::Handle acceptable_;
};

} // namespace lom::media
