// SFTP version 3 as bytes: requests out, replies in, without any socket. The server is hostile:
// every length is checked before it is believed, and a reply nobody asked for ends the session.
// Pure; one thread. Payload of READ is copied once, straight to where the listener wants it.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lom::media::sftp {

enum StatusCode : std::uint32_t {
    status_ok = 0,
    status_end_of_file = 1,
    status_no_such_file = 2,
    status_permission_denied = 3,
};

struct Attributes {
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> permissions;
    std::optional<std::uint32_t> modified;
};

std::string init_request();
std::string stat_request(std::uint32_t id, std::string_view path);
std::string open_request(std::uint32_t id, std::string_view path);   ///< for reading
std::string create_request(std::uint32_t id, std::string_view path); ///< for writing, emptied
std::string fstat_request(std::uint32_t id, std::string_view handle);
std::string read_request(std::uint32_t id, std::string_view handle, std::uint64_t offset,
                         std::uint32_t length);

std::string write_request(std::uint32_t id, std::string_view handle, std::uint64_t offset,
                          std::string_view bytes);
std::string close_request(std::uint32_t id, std::string_view handle);

/// What ReplyParser finds. Members are called from inside feed() and must not destroy the parser.
class ReplyListener {
  public:
    virtual ~ReplyListener() = default;
    virtual void on_version(std::uint32_t version) = 0;
    virtual void on_status(std::uint32_t id, std::uint32_t code) = 0;
    virtual void on_handle(std::uint32_t id, std::string_view handle) = 0;
    virtual void on_attributes(std::uint32_t id, const Attributes& attributes) = 0;
    /// Where `length` bytes of the READ `id` go; an empty span says that nobody asked for them.
    virtual std::span<char> room_for(std::uint32_t id, std::uint32_t length) = 0;
    virtual void on_data(std::uint32_t id, std::uint32_t length) = 0;
};

class ReplyParser {
  public:
    /// Longest reply that is not file data; OpenSSH's own limit for a whole packet is 256 KiB.
    static constexpr std::uint32_t max_small_reply = 32U << 10U;
    static constexpr std::uint32_t max_reply = 256U << 10U;

    explicit ReplyParser(ReplyListener& listener) : listener_(listener) {}

    /// Takes bytes as they come, in pieces of any size. After a fault the session must end.
    Result<void> feed(std::span<const char> bytes);

  private:
    enum class Part { length_and_type, data_head, data, small };

    Result<void> take_length_and_type();
    Result<void> take_data_head();
    Result<void> take_small_reply();
    void expect(Part part, std::uint32_t size);

    ReplyListener& listener_;
    Part part_ = Part::length_and_type;
    std::uint32_t wanted_ = 5; ///< bytes of the current part
    std::string held_;         ///< those that came; unused for data
    std::uint8_t type_ = 0;
    std::uint32_t body_ = 0; ///< bytes of the packet after its type
    std::uint32_t data_id_ = 0;
    std::uint32_t data_done_ = 0;
    std::span<char> data_room_;
};

} // namespace lom::media::sftp
