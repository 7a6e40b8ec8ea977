#include "kvms/media/sources/browser_source.h"

#include "base/stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace lom::media {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto silence_limit = 9s; // as with SFTP
constexpr std::size_t hello_size = 17;
constexpr std::size_t data_head = 9;
constexpr std::size_t failure_size = 5;
constexpr std::uint64_t largest = std::uint64_t{1} << 50U;

void put(std::string& out, std::uint64_t number, int bytes) {
    for (int i = bytes - 1; i >= 0; --i)
        out += static_cast<char>(number >> (8U * static_cast<unsigned>(i)));
}

std::uint64_t get(std::string_view in, std::size_t at, std::size_t bytes) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes; ++i)
        number = number << 8U | static_cast<unsigned char>(in[at + i]);
    return number;
}

class BrowserSource final : public Source {
  public:
    BrowserSource(Loop& loop, BrowserSettings& settings, SourceListener& listener)
        : loop_(loop), settings_(settings), listener_(listener) {
        newcomer_ = loop_.watch(settings_.listener.get(), Loop::Wait::readable,
                                [this] { take_newcomer(); });
        watchdog_ = loop_.every(1s, [this] { watch_silence(); });
    }

    void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) override {
        if (waits_for_.empty())
            heard_ = Clock::now();
        waits_for_[request] = length;
        gathered_ += 'R';
        put(gathered_, request, 4);
        put(gathered_, offset, 8);
        put(gathered_, length, 4);
    }

    void flush() override {
        if (stream_)
            stream_->send(std::exchange(gathered_, {}));
    }

  private:
    void take_newcomer();
    void feed(std::string_view bytes);
    std::size_t take_frame(std::string_view bytes);
    std::size_t take_hello(std::string_view bytes);
    std::size_t take_data_head(std::string_view bytes);
    void send_away(char why);
    void watch_silence();
    void lost(const std::string& detail);

    Loop& loop_;
    BrowserSettings& settings_;
    SourceListener& listener_;
    Loop::Handle newcomer_;
    Loop::Handle watchdog_;
    Loop::Handle end_;
    std::unique_ptr<Stream> stream_;
    bool opened_ = false;
    bool over_ = false;
    std::string buffer_;   ///< the begin of a frame
    std::string gathered_; ///< requests not yet sent
    std::map<std::uint32_t, std::uint32_t> waits_for_;
    std::span<char> room_; ///< of the answer that is coming in
    std::uint32_t coming_ = 0;
    std::size_t filled_ = 0;
    Clock::time_point heard_;
};

/// The latest page counts: its predecessor may hang on a line that is cut.
void BrowserSource::take_newcomer() {
    if (over_)
        return;
    if (opened_) { // the next attempt takes it: this one has answers half read
        send_away('r');
        return lost("The page was opened anew.");
    }
    UniqueFd fd(accept4(settings_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd)
        return;
    send_away('r');
    buffer_.clear();
    heard_ = Clock::now();
    stream_ = std::make_unique<Stream>(
        loop_, std::move(fd),
        Stream::Handlers{
            [this](std::string_view bytes, const std::vector<UniqueFd>&) { feed(bytes); },
            [this](const std::string&) {
                if (opened_)
                    lost("The page with the image was closed, or cannot reach us. "
                         "Open it again and choose the same file.");
            }});
}

void BrowserSource::feed(std::string_view bytes) {
    heard_ = Clock::now();
    while (!bytes.empty() && !over_ && stream_) {
        if (!room_.empty()) {
            const std::size_t count = std::min(bytes.size(), room_.size() - filled_);
            std::memcpy(room_.data() + filled_, bytes.data(), count);
            filled_ += count;
            bytes.remove_prefix(count);
            if (filled_ == room_.size())
                listener_.source_received(
                    coming_, static_cast<std::uint32_t>(std::exchange(room_, {}).size()));
            continue;
        }
        // A frame's head may come in pieces.
        const std::size_t before = buffer_.size();
        buffer_.append(bytes.substr(0, hello_size - std::min(before, hello_size)));
        const std::size_t taken = take_frame(buffer_);
        if (over_ || !stream_)
            return;
        if (taken == 0) {
            if (buffer_.size() >= hello_size)
                return lost("The page does not speak as it should.");
            return;
        }
        bytes.remove_prefix(taken - before);
        buffer_.clear();
    }
    if (opened_ && !over_)
        listener_.source_ready();
}

/// The frame's length, or the length of what stands before its bytes; 0: it is not complete.
std::size_t BrowserSource::take_frame(std::string_view bytes) {
    if (!opened_)
        return take_hello(bytes);
    switch (bytes.front()) {
    case 'D':
        return take_data_head(bytes);
    case 'E': {
        if (bytes.size() < failure_size)
            return 0;
        const auto request = static_cast<std::uint32_t>(get(bytes, 1, 4));
        if (waits_for_.erase(request) == 0)
            lost("The page answered what nobody asked.");
        else
            lost("The browser cannot read the file any more: it was changed, moved or removed. "
                 "Choose it again.");
        return failure_size;
    }
    default:
        lost("The page does not speak as it should.");
        return 1;
    }
}

std::size_t BrowserSource::take_hello(std::string_view bytes) {
    if (bytes.front() != 'H') {
        send_away('p');
        return 0;
    }
    if (bytes.size() < hello_size)
        return 0;
    const ImageFacts facts{get(bytes, 1, 8), static_cast<std::int64_t>(get(bytes, 9, 8) / 1000)};
    if (facts.size < settings_.least_size || facts.size > largest) {
        send_away('s');
        return 0;
    }
    if (settings_.facts && !(*settings_.facts == facts)) { // refused here, the guest is not harmed
        send_away('f');
        return 0;
    }
    settings_.facts = facts;
    opened_ = true;
    listener_.source_opened(facts);
    return hello_size;
}

std::size_t BrowserSource::take_data_head(std::string_view bytes) {
    if (bytes.size() < data_head)
        return 0;
    coming_ = static_cast<std::uint32_t>(get(bytes, 1, 4));
    const auto length = static_cast<std::uint32_t>(get(bytes, 5, 4));
    const auto asked = waits_for_.find(coming_);
    if (asked == waits_for_.end() || length == 0 || length > asked->second) {
        lost("The page answered what nobody asked.");
        return data_head;
    }
    waits_for_.erase(asked);
    room_ = listener_.source_room(coming_, length);
    filled_ = 0;
    if (room_.size() != length)
        lost("The page answered what nobody asked.");
    return data_head;
}

void BrowserSource::send_away(char why) {
    if (!stream_)
        return;
    stream_->send({'X', why}); // gone at once unless requests wait; then it only hears the end
    stream_.reset();
}

void BrowserSource::watch_silence() {
    if (opened_ && !waits_for_.empty() && Clock::now() - heard_ > silence_limit)
        lost("The browser has not answered for " + std::to_string(silence_limit.count()) + " s.");
}

/// Told from the loop: the source may be destroyed by that, and we are inside its calls.
void BrowserSource::lost(const std::string& detail) {
    if (std::exchange(over_, true))
        return;
    newcomer_.reset();
    end_ = loop_.after(0ms, [this, problem = Problem{Status::reconnecting, detail, true}] {
        listener_.source_lost(problem);
    });
}

} // namespace

std::unique_ptr<Source> open_browser(Loop& loop, BrowserSettings& settings,
                                     SourceListener& listener) {
    return std::make_unique<BrowserSource>(loop, settings, listener);
}

} // namespace lom::media
