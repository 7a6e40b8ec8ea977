#include "kvms/media/sources/reader_source.h"

#include "base/json_fields.h"
#include "base/stream.h"
#include "kvms/media/sources/reader_wire.h"
#include "kvms/media/sources/tcp_connector.h"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace json = boost::json;

namespace lom::media {

namespace {

using namespace std::chrono_literals;

constexpr auto login_limit = 9s;   // the status is true within 10 s
constexpr auto silence_limit = 9s; // as with SFTP
constexpr std::uint64_t largest_image = std::uint64_t{1} << 50U;

std::optional<std::string> address_of_peer(const UniqueFd& fd) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    std::array<char, NI_MAXHOST> text{};
    if (getpeername(fd.get(), reinterpret_cast<sockaddr*>(&peer), &size) != 0 ||
        getnameinfo(reinterpret_cast<const sockaddr*>(&peer), size, text.data(), text.size(),
                    nullptr, 0, NI_NUMERICHOST) != 0)
        return std::nullopt;
    return std::string(text.data());
}

class ReaderSource final : public Source {
  public:
    ReaderSource(Loop& loop, const ReaderSettings& settings, SourceListener& listener);
    ~ReaderSource() override;

    void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) override;
    void flush() override {} // each order goes at once

  private:
    /// One process and what it has been asked for.
    struct Reader {
        UniqueFd process;
        std::unique_ptr<Stream> stream;
        bool open = false;
        std::string line; ///< its first one, until it is whole
        std::vector<ReadOrder> orders;
        std::array<char, sizeof(ReadAnswer)> head{};
        std::size_t head_filled = 0;
        ReadAnswer answer;
        std::span<char> room;
        std::size_t filled = 0;
    };

    void connected(const UniqueFd& probe);
    bool start_reader();
    std::string task() const;
    void take(Reader& reader, std::string_view bytes);
    bool take_line(Reader& reader, std::string_view& bytes);
    bool take_answer(Reader& reader, std::string_view& bytes);
    bool begin_answer(Reader& reader);
    void finish_answer(Reader& reader);
    bool opened(Reader& reader, const ImageFacts& facts);
    void watch_silence();
    bool fail(Status status, std::string detail, bool transient = true);
    bool lost(const std::string& why);

    Loop& loop_;
    const ReaderSettings& settings_;
    SourceListener& listener_;
    std::string address_;
    std::vector<std::unique_ptr<Reader>> readers_;
    ImageFacts facts_;
    bool opened_ = false;
    bool failed_ = false;
    std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();
    TcpConnector connector_;
    Loop::Handle watchdog_;
    Loop::Handle lost_;
};

// The first connection only finds out which of the server's addresses answers and whether it may be
// used at all: the libraries resolve names on their own and would not ask the policy.
ReaderSource::ReaderSource(Loop& loop, const ReaderSettings& settings, SourceListener& listener)
    : loop_(loop), settings_(settings), listener_(listener),
      connector_(loop, settings.uri.host, settings.uri.port, settings.policy,
                 {[this](UniqueFd fd) { connected(fd); },
                  [this](Problem problem) {
                      fail(problem.status, std::move(problem.detail), problem.transient);
                  }}) {}

ReaderSource::~ReaderSource() {
    for (const auto& reader : readers_) {
        reader->stream.reset();
        syscall(SYS_pidfd_send_signal, reader->process.get(), SIGKILL, nullptr, 0);
    }
}

void ReaderSource::connected(const UniqueFd& probe) {
    const auto address = address_of_peer(probe);
    if (!address) {
        fail(Status::unreachable, "The connection was lost as soon as it stood.");
        return;
    }
    address_ = *address;
    heard_ = std::chrono::steady_clock::now();
    watchdog_ = loop_.every(1s, [this] { watch_silence(); });
    start_reader();
}

bool ReaderSource::start_reader() {
    auto started = settings_.steward.start_reader();
    if (!started)
        return fail(Status::failed, started.fault().message, false);
    Reader& reader = *readers_.emplace_back(std::make_unique<Reader>());
    reader.process = std::move(started->process);
    reader.stream = std::make_unique<Stream>(
        loop_, std::move(started->link),
        Stream::Handlers{
            .data = [this, &reader](std::string_view bytes,
                                    const std::vector<UniqueFd>&) { take(reader, bytes); },
            .closed = [this](const std::string&) { lost("its reader has ended"); },
            .drained = {}});
    reader.stream->send(task());
    return true;
}

std::string ReaderSource::task() const {
    const ImageUri& uri = settings_.uri;
    const Credentials& credentials = settings_.credentials;
    return json::serialize(
               json::object{{"address", address_},
                            {"port", uri.port},
                            {"path", uri.path},
                            {"username", uri.user.empty() ? credentials.username : uri.user},
                            {"password", credentials.password}}) +
           "\n";
}

void ReaderSource::read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) {
    if (failed_)
        return;
    Reader* least = nullptr;
    for (const auto& reader : readers_)
        if (reader->open && (least == nullptr || reader->orders.size() < least->orders.size()))
            least = reader.get();
    const ReadOrder order{request, length, offset};
    if (std::all_of(readers_.begin(), readers_.end(),
                    [](const auto& reader) { return reader->orders.empty(); }))
        heard_ = std::chrono::steady_clock::now();
    least->orders.push_back(order);
    least->stream->send(std::string(reinterpret_cast<const char*>(&order), sizeof order));
}

// Called from inside the reader's stream: nothing here destroys readers

void ReaderSource::take(Reader& reader, std::string_view bytes) {
    heard_ = std::chrono::steady_clock::now();
    bool any = false;
    while (!bytes.empty() && !failed_) {
        const bool good = reader.open ? take_answer(reader, bytes) : take_line(reader, bytes);
        if (!good)
            return;
        any = any || reader.head_filled == 0;
    }
    if (any && opened_ && !failed_)
        listener_.source_ready();
}

/// Its first line; what follows it stays in `bytes`. False: the source has failed.
bool ReaderSource::take_line(Reader& reader, std::string_view& bytes) {
    const std::size_t end = bytes.find('\n');
    reader.line += bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (reader.line.size() > longest_reader_line)
        return lost("its reader's first line has no end");
    if (end == std::string_view::npos)
        return true;
    boost::system::error_code error;
    const json::value value = json::parse(reader.line, error);
    if (error || !value.is_object())
        return lost("its reader said something strange");
    const json::object& said = value.get_object();
    if (!said.contains("size"))
        return fail(status_of(fields::text(said, "status")), fields::text(said, "detail"),
                    fields::flag(said, "transient"));
    return opened(reader, {fields::number<std::uint64_t>(said, "size", UINT64_MAX),
                           fields::number<std::int64_t>(said, "modified")});
}

bool ReaderSource::opened(Reader& reader, const ImageFacts& facts) {
    if (facts.size > largest_image)
        return fail(Status::failed, "The server does not tell a sound size of the file.", false);
    if (facts.size < settings_.least_size)
        return fail(Status::too_short,
                    "The file has only " + std::to_string(facts.size) +
                        " bytes, less than one sector; it is no image.",
                    false);
    reader.open = true;
    if (opened_)
        return facts == facts_ || lost("the file has just been replaced");
    opened_ = true;
    facts_ = facts;
    // Not all at once: a refused login counts once.
    while (readers_.size() < settings_.processes)
        if (!start_reader())
            return false;
    listener_.source_opened(facts_);
    return true;
}

bool ReaderSource::take_answer(Reader& reader, std::string_view& bytes) {
    if (reader.head_filled < sizeof(ReadAnswer)) {
        const std::size_t count = std::min(bytes.size(), sizeof(ReadAnswer) - reader.head_filled);
        std::copy_n(bytes.begin(), count, reader.head.begin() + reader.head_filled);
        reader.head_filled += count;
        bytes.remove_prefix(count);
        if (reader.head_filled < sizeof(ReadAnswer))
            return true;
        if (!begin_answer(reader))
            return false;
    }
    const std::size_t count = std::min(bytes.size(), reader.room.size() - reader.filled);
    std::copy_n(bytes.begin(), count, reader.room.begin() + reader.filled);
    reader.filled += count;
    bytes.remove_prefix(count);
    if (reader.filled == reader.room.size())
        finish_answer(reader);
    return true;
}

bool ReaderSource::begin_answer(Reader& reader) {
    std::memcpy(&reader.answer, reader.head.data(), sizeof reader.answer);
    const auto order =
        std::find_if(reader.orders.begin(), reader.orders.end(), [&reader](const ReadOrder& one) {
            return one.request == reader.answer.request;
        });
    const std::uint32_t length = reader.answer.length;
    if (order == reader.orders.end() || (length > order->length && length != read_refused))
        return lost("its reader answered what nobody asked");
    reader.orders.erase(order);
    reader.filled = 0;
    reader.room = {};
    if (length == read_refused || length == 0)
        return true;
    reader.room = listener_.source_room(reader.answer.request, length);
    if (reader.room.size() < length)
        return lost("its reader answered what nobody asked");
    reader.room = reader.room.first(length);
    return true;
}

void ReaderSource::finish_answer(Reader& reader) {
    reader.head_filled = 0;
    reader.room = {};
    if (reader.answer.length == read_refused)
        listener_.source_read_failed(reader.answer.request);
    else
        listener_.source_received(reader.answer.request, reader.answer.length);
}

void ReaderSource::watch_silence() {
    const auto silence = std::chrono::steady_clock::now() - heard_;
    const bool waits = std::any_of(readers_.begin(), readers_.end(),
                                   [](const auto& reader) { return !reader->orders.empty(); });
    if (opened_ && waits && silence > silence_limit)
        lost("it has not answered for " + std::to_string(silence_limit.count()) + " s");
    else if (!opened_ && silence > login_limit)
        fail(Status::unreachable, "The server accepted the connection, but does not answer; check "
                                  "that the port is right.");
}

bool ReaderSource::lost(const std::string& why) {
    return opened_ ? fail(Status::reconnecting, "The server was lost: " + why + ".")
                   : fail(Status::failed, "The file could not be opened: " + why + ".");
}

/// Always false, for the callers' convenience.
bool ReaderSource::fail(Status status, std::string detail, bool transient) {
    if (failed_)
        return false;
    failed_ = true;
    watchdog_.reset();
    lost_ = loop_.after(0ms, // not from inside a reader's stream
                        [this, problem = Problem{status, std::move(detail), transient}] {
                            listener_.source_lost(problem);
                        });
    return false;
}

} // namespace

std::unique_ptr<Source> open_reader(Loop& loop, const ReaderSettings& settings,
                                    SourceListener& listener) {
    return std::make_unique<ReaderSource>(loop, settings, listener);
}

} // namespace lom::media
