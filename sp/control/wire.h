// The wire form of the control protocol (docs/control-protocol.md): frames of a 4-byte big-endian
// length and JSON. Sans-IO: bytes in, messages out; both sides and the fuzzer use it. Any thread.
#pragma once

#include "base/result.h"
#include "sp/control/messages.h"
#include "sp/tree/value.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lom::control {

constexpr int protocol_version = 1;
constexpr std::size_t longest_request = 256U << 10U;
constexpr std::size_t longest_reply = 16U << 20U;

std::string frame(std::string_view json);

/// Takes frames apart. After a fault the stream is out of step: close it.
class FrameReader {
  public:
    explicit FrameReader(std::size_t longest) : longest_(longest) {}
    Result<void> feed(std::string_view bytes);
    /// The next whole message, or nothing.
    std::optional<std::string> next();

  private:
    std::size_t longest_;
    std::string buffer_;
    std::size_t used_ = 0;
};

/// Every request; `op` says which fields count.
struct Request {
    std::int64_t id = 0;
    std::string op; ///< hello, resume, authenticate, open_session, show, describe, set, run
    int version = 0;
    std::string ticket;
    std::string username;
    std::string password;
    std::string source;
    std::string key; ///< base64, as are the next two
    std::string signed_data;
    std::string signature;
    std::string type;
    std::string session;
    std::string target;
    int depth = 1;
    std::string property;
    std::string value;
    std::string verb;
    bool force = false;
    std::vector<std::pair<std::string, std::string>> properties;
    std::optional<std::uint64_t> console_offset;
    bool resumed = false;
    bool may_wait = false;
};
std::string encode(const Request& request);
Result<Request> decode_request(std::string_view json);

std::string encode_fault(std::int64_t id, const Fault& fault);
std::string encode_reply(std::int64_t id, const Hello& hello);
std::string encode_reply(std::int64_t id, const TargetView& view);
std::string encode_reply(std::int64_t id, const TargetDescription& description);
std::string encode_reply(std::int64_t id, const SetReply& reply);
std::string encode_reply(std::int64_t id, const RunReply& reply); ///< without its fd
std::string encode_reply(std::int64_t id);                        ///< nothing to say (open_session)

/// Each gives the fault that the reply carries, or `internal` for a reply that makes no sense.
Result<Hello> decode_hello(std::string_view json);
Result<TargetView> decode_view(std::string_view json);
Result<TargetDescription> decode_description(std::string_view json);
Result<SetReply> decode_set(std::string_view json);
Result<RunReply> decode_run(std::string_view json);
Result<void> decode_done(std::string_view json);

/// A property's value as a JSON fragment.
std::string value_json(const Value& value);
/// Bytes of unknown origin (a guest's console) as text that JSON can carry.
std::string valid_utf8(std::string_view bytes);

} // namespace lom::control
