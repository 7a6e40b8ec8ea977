#include "kvms/media/sources/sftp_wire.h"

#include <algorithm>

namespace lom::media::sftp {

namespace {

enum PacketType : std::uint8_t {
    type_init = 1,
    type_version = 2,
    type_open = 3,
    type_close = 4,
    type_read = 5,
    type_write = 6,
    type_fstat = 8,
    type_stat = 17,
    type_status = 101,
    type_handle = 102,
    type_data = 103,
    type_attributes = 105,
};

constexpr std::uint32_t protocol_version = 3;
constexpr std::uint32_t open_for_reading = 1;
constexpr std::uint32_t open_for_writing = 0x2 | 0x8 | 0x10; // write, create, empty it
constexpr std::uint32_t has_size = 0x1;
constexpr std::uint32_t has_owner = 0x2;
constexpr std::uint32_t has_permissions = 0x4;
constexpr std::uint32_t has_times = 0x8;
constexpr std::size_t max_handle = 256; // the protocol's own limit

class Packet {
  public:
    explicit Packet(PacketType type) : bytes_(4, '\0') {
        bytes_.push_back(static_cast<char>(type));
    }

    Packet& u32(std::uint32_t value) {
        put(bytes_, value);
        return *this;
    }
    Packet& u64(std::uint64_t value) {
        return u32(static_cast<std::uint32_t>(value >> 32U)).u32(static_cast<std::uint32_t>(value));
    }
    Packet& text(std::string_view value) {
        u32(static_cast<std::uint32_t>(value.size()));
        bytes_.append(value);
        return *this;
    }
    std::string finish() {
        std::string length;
        put(length, static_cast<std::uint32_t>(bytes_.size() - 4));
        bytes_.replace(0, 4, length);
        return std::move(bytes_);
    }

  private:
    static void put(std::string& to, std::uint32_t value) {
        for (const unsigned shift : {24U, 16U, 8U, 0U})
            to.push_back(static_cast<char>((value >> shift) & 0xffU));
    }

    std::string bytes_;
};

/// Reads fields off the front; after running short once it only gives zeros and says so.
class Fields {
  public:
    explicit Fields(std::string_view bytes) : bytes_(bytes) {}

    std::uint32_t u32() {
        if (bytes_.size() < 4) {
            short_ = true;
            bytes_ = {};
            return 0;
        }
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i)
            value = value << 8U | static_cast<unsigned char>(bytes_[static_cast<std::size_t>(i)]);
        bytes_.remove_prefix(4);
        return value;
    }
    std::uint64_t u64() {
        const std::uint64_t high = u32();
        return high << 32U | u32();
    }
    std::string_view text() {
        const std::uint32_t size = u32();
        if (size > bytes_.size()) {
            short_ = true;
            bytes_ = {};
        }
        const std::string_view value = bytes_.substr(0, size);
        bytes_.remove_prefix(value.size());
        return value;
    }
    bool ran_short() const { return short_; }

  private:
    std::string_view bytes_;
    bool short_ = false;
};

Attributes read_attributes(Fields& fields) {
    Attributes attributes;
    const std::uint32_t flags = fields.u32();
    if ((flags & has_size) != 0)
        attributes.size = fields.u64();
    if ((flags & has_owner) != 0)
        fields.u64();
    if ((flags & has_permissions) != 0)
        attributes.permissions = fields.u32();
    if ((flags & has_times) != 0) {
        fields.u32(); // accessed
        attributes.modified = fields.u32();
    }
    return attributes;
}

Fault nonsense(const std::string& what) {
    return {FaultKind::unavailable, "The server does not speak SFTP properly: " + what + "."};
}

} // namespace

std::string init_request() { return Packet(type_init).u32(protocol_version).finish(); }

std::string stat_request(std::uint32_t id, std::string_view path) {
    return Packet(type_stat).u32(id).text(path).finish();
}

std::string open_request(std::uint32_t id, std::string_view path) {
    constexpr std::uint32_t no_attributes = 0;
    return Packet(type_open).u32(id).text(path).u32(open_for_reading).u32(no_attributes).finish();
}

std::string create_request(std::uint32_t id, std::string_view path) {
    constexpr std::uint32_t no_attributes = 0;
    return Packet(type_open).u32(id).text(path).u32(open_for_writing).u32(no_attributes).finish();
}

std::string fstat_request(std::uint32_t id, std::string_view handle) {
    return Packet(type_fstat).u32(id).text(handle).finish();
}

std::string read_request(std::uint32_t id, std::string_view handle, std::uint64_t offset,
                         std::uint32_t length) {
    return Packet(type_read).u32(id).text(handle).u64(offset).u32(length).finish();
}

std::string write_request(std::uint32_t id, std::string_view handle, std::uint64_t offset,
                          std::string_view bytes) {
    return Packet(type_write).u32(id).text(handle).u64(offset).text(bytes).finish();
}

std::string close_request(std::uint32_t id, std::string_view handle) {
    return Packet(type_close).u32(id).text(handle).finish();
}

void ReplyParser::expect(Part part, std::uint32_t size) {
    part_ = part;
    wanted_ = size;
    held_.clear();
}

Result<void> ReplyParser::feed(std::span<const char> bytes) {
    while (!bytes.empty()) {
        if (part_ == Part::data) {
            const std::size_t count = std::min<std::size_t>(bytes.size(), wanted_ - data_done_);
            std::copy_n(bytes.begin(), count, data_room_.begin() + data_done_);
            bytes = bytes.subspan(count);
            data_done_ += static_cast<std::uint32_t>(count);
            if (data_done_ == wanted_) {
                expect(Part::length_and_type, 5);
                listener_.on_data(data_id_, data_done_);
            }
            continue;
        }
        const std::size_t count = std::min<std::size_t>(bytes.size(), wanted_ - held_.size());
        held_.append(bytes.data(), count);
        bytes = bytes.subspan(count);
        if (held_.size() < wanted_)
            continue;
        Result<void> taken = part_ == Part::length_and_type ? take_length_and_type()
                             : part_ == Part::data_head     ? take_data_head()
                                                            : take_small_reply();
        if (!taken)
            return taken;
    }
    return {};
}

Result<void> ReplyParser::take_length_and_type() {
    const std::uint32_t length = Fields(held_).u32();
    type_ = static_cast<std::uint8_t>(held_[4]);
    const std::uint32_t limit = type_ == type_data ? max_reply : max_small_reply;
    if (length < 5 || length > limit)
        return nonsense("a reply of " + std::to_string(length) + " bytes");
    body_ = length - 1;
    if (type_ != type_data)
        expect(Part::small, body_);
    else if (body_ < 8)
        return nonsense("file data without a head");
    else
        expect(Part::data_head, 8);
    return {};
}

Result<void> ReplyParser::take_data_head() {
    Fields fields(held_);
    data_id_ = fields.u32();
    const std::uint32_t length = fields.u32();
    if (length == 0 || length != body_ - 8)
        return nonsense("file data whose two lengths differ");
    data_room_ = listener_.room_for(data_id_, length);
    if (data_room_.size() < length)
        return nonsense("file data that was not asked for");
    data_done_ = 0;
    expect(Part::data, length);
    return {};
}

Result<void> ReplyParser::take_small_reply() {
    Fields fields(held_);
    const std::uint32_t id = fields.u32(); // of VERSION: the version
    const std::uint32_t code = type_ == type_status ? fields.u32() : 0;
    const std::string_view handle = type_ == type_handle ? fields.text() : std::string_view();
    const Attributes attributes = type_ == type_attributes ? read_attributes(fields) : Attributes();
    if (fields.ran_short() || handle.size() > max_handle)
        return nonsense("a reply shorter than what it announces");
    switch (type_) {
    case type_version:
        listener_.on_version(id);
        break;
    case type_status:
        listener_.on_status(id, code);
        break;
    case type_handle:
        listener_.on_handle(id, handle);
        break;
    case type_attributes:
        listener_.on_attributes(id, attributes);
        break;
    default:
        return nonsense("a reply of unknown type " + std::to_string(type_));
    }
    expect(Part::length_and_type, 5);
    return {};
}

} // namespace lom::media::sftp
