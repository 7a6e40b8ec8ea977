// libFuzzer: what strangers make lom-media and lomd's image policy read. The first byte says what
// the rest is: replies of an SFTP server (in pieces), a URI, credentials, a network.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/media_fuzz.cpp
//   kvms/media/{sftp_wire,uri,image_policy,credentials}.cpp -lboost_json
#include "kvms/media/sources/credentials.h"
#include "kvms/media/sources/image_policy.h"
#include "kvms/media/sources/sftp_wire.h"
#include "kvms/media/sources/uri.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

using namespace lom;
using namespace lom::media;

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

/// Has asked for READs 1 to 8, of a different length each, once.
class Asker final : public sftp::ReplyListener {
  public:
    void on_version(std::uint32_t) override {}
    void on_status(std::uint32_t, std::uint32_t) override {}
    void on_handle(std::uint32_t, std::string_view handle) override {
        require(handle.size() <= sftp::ReplyParser::max_small_reply);
    }
    void on_attributes(std::uint32_t, const sftp::Attributes&) override {}
    std::span<char> room_for(std::uint32_t id, std::uint32_t length) override {
        const bool asked = id >= 1 && id <= rooms_.size() && done_.count(id) == 0;
        if (!asked || length > 64 * id)
            return {};
        rooms_[id - 1].assign(length, '\0'); // to the byte: a byte too many is seen
        return rooms_[id - 1];
    }
    void on_data(std::uint32_t id, std::uint32_t length) override {
        require(id >= 1 && id <= rooms_.size() && length <= rooms_[id - 1].size());
        done_.insert(id);
    }

  private:
    std::array<std::vector<char>, 8> rooms_;
    std::set<std::uint32_t> done_;
};

void feed_replies(std::string_view bytes) {
    if (bytes.empty())
        return;
    const std::size_t piece = 1 + static_cast<unsigned char>(bytes.front()) % 64;
    bytes.remove_prefix(1);
    Asker asker;
    sftp::ReplyParser parser(asker);
    while (!bytes.empty()) {
        const std::string_view now = bytes.substr(0, piece);
        if (const auto fine = parser.feed(now); !fine) {
            require(!fine.fault().message.empty());
            return;
        }
        bytes.remove_prefix(now.size());
    }
}

void take_uri(std::string_view text) {
    const auto uri = parse_image_uri(text);
    if (!uri)
        return require(!uri.fault().message.empty());
    require(std::find(schemes.begin(), schemes.end(), uri->scheme) != schemes.end());
    require(!uri->path.empty() && uri->path.front() == '/');
    require((uri->port == 0) == (uri->scheme == "file"));
    require(uri->host.empty() == (uri->scheme == "file"));
    require(uri->host.empty() || uri->host.front() != '-');
    require(uri->user.find(':') == std::string::npos);
    for (const std::string* part : {&uri->user, &uri->host, &uri->path})
        require(part->find('\0') == std::string::npos && part->find('\n') == std::string::npos);
    const ImagePolicy nothing_own;
    const auto fine = nothing_own.check(*uri);
    require(fine || !fine.fault().message.empty());
    require(!fine || (uri->host != "127.0.0.1" && uri->host != "localhost" && uri->host != "::1"));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0)
        return 0;
    const std::string text(data + 1, data + size);
    switch (data[0] % 4) {
    case 0:
        feed_replies(text);
        break;
    case 1:
        take_uri(text);
        break;
    case 2:
        (void)parse_credentials(text);
        break;
    default:
        if (const auto network = parse_network(text))
            require(network->bits <= 128);
    }
    return 0;
}
