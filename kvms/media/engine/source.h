// One connection to wherever an image lies: the small interface that SFTP stands behind now and
// HTTPS, NFS and SMB later. A Source is one attempt: it connects, serves reads, and ends with one
// source_lost(); for another attempt its owner makes another Source. Loop thread only; nothing
// here blocks, and nobody waits for anything but through the listener.
#pragma once

#include "kvms/media/status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lom::media {

struct ImageFacts {
    std::uint64_t size = 0;
    std::int64_t modified = 0; ///< seconds since 1970, by the server's clock
    std::string tag;           ///< the server's own name for this version; empty: it has none
    bool operator==(const ImageFacts&) const = default;
};

struct ServerIdentity {
    std::string key_type;    ///< "ssh-ed25519"
    std::string fingerprint; ///< "SHA256:..."
};

class SourceListener {
  public:
    virtual ~SourceListener() = default;
    /// The server is the one it should be, or the first we meet.
    virtual void source_identified(const ServerIdentity& identity) = 0;
    /// The file is open; reads may be asked for.
    virtual void source_opened(const ImageFacts& facts) = 0;
    /// Where `length` bytes of `request` go. The room must stay valid until the Source has gone.
    /// Empty: nobody asked for them, which ends the connection.
    virtual std::span<char> source_room(std::uint32_t request, std::uint32_t length) = 0;
    /// `length` bytes stand in the room; fewer than asked is no error, 0 is the end of the file.
    virtual void source_received(std::uint32_t request, std::uint32_t length) = 0;
    virtual void source_read_failed(std::uint32_t request) = 0;
    /// A batch of replies has been handed out: a good moment for more reads.
    virtual void source_ready() = 0;
    /// The last call. The Source may be destroyed inside this one, and inside no other.
    virtual void source_lost(const Problem& problem) = 0;
};

class Source {
  public:
    virtual ~Source() = default;
    virtual void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) = 0;
    /// Sends what read() has gathered.
    virtual void flush() = 0;
};

/// The other direction: a file being written, whose listener hears source_opened() when it may
/// begin (the size is then 0), source_received(request, 0) for what is on the server, and
/// source_read_failed(request) for what the server would not take.
class Sink {
  public:
    virtual ~Sink() = default;
    virtual void write(std::uint32_t request, std::uint64_t offset, std::string_view bytes) = 0;
    /// After the last write has been answered: only its answer says that the file is whole.
    virtual void close(std::uint32_t request) = 0;
    virtual void flush() = 0;
};

} // namespace lom::media
