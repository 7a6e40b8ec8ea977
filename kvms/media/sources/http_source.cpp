#include "kvms/media/sources/http_source.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include <strings.h>
#include <sys/socket.h>

namespace lom::media {

namespace {

constexpr long connections = 16;
constexpr long most_redirects = 5;
constexpr long login_limit = 15;          // seconds, to a connection
constexpr long silence_limit = 9;         // seconds, as with SFTP
constexpr std::uint32_t look_request = 0; // the engine's ids start at 16
constexpr std::size_t longest_tag = 256;
constexpr std::uint32_t longest_error = 64U << 10U;
constexpr std::uint64_t largest_image = std::uint64_t{1} << 50U;

std::string url_of(const ImageUri& uri) {
    static constexpr char digits[] = "0123456789ABCDEF";
    const bool v6 = uri.host.find(':') != std::string::npos;
    std::string url = uri.scheme + "://" + (v6 ? "[" + uri.host + "]" : uri.host) + ":" +
                      std::to_string(uri.port);
    for (const char c : uri.path) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > 0x20 && byte < 0x7f && c != '#') {
            url += c;
            continue;
        }
        url += '%';
        url += digits[byte >> 4U];
        url += digits[byte & 0xfU];
    }
    return url;
}

/// "bytes FIRST-LAST/TOTAL", or "bytes */TOTAL" of a refused range.
struct ContentRange {
    std::optional<std::uint64_t> first;
    std::uint64_t total = 0;
};

std::optional<ContentRange> parse_content_range(std::string_view text) {
    const auto number = [&text](std::uint64_t& value) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        return error == std::errc();
    };
    if (!text.starts_with("bytes "))
        return std::nullopt;
    text.remove_prefix(6);
    ContentRange range;
    std::uint64_t first = 0;
    if (number(first))
        range.first = first;
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos)
        return std::nullopt;
    text.remove_prefix(slash + 1);
    if (!number(range.total))
        return std::nullopt;
    return range;
}

class HttpSource final : public Source {
  public:
    HttpSource(Loop& loop, const HttpSettings& settings, SourceListener& listener);
    ~HttpSource() override;

    void read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) override;
    void flush() override {} // each request goes at once

  private:
    /// One request for a range.
    struct Exchange {
        HttpSource* source = nullptr;
        CURL* easy = nullptr; ///< owned
        std::uint32_t request = 0;
        std::uint64_t offset = 0;
        std::uint32_t length = 0;
        std::uint32_t filled = 0;
        std::span<char> room;
        std::optional<ContentRange> range;
        std::string tag;
        bool under_way = false;
    };
    struct Watch {
        Loop::Handle readable, writable;
    };

    void configure(CURL* easy, Exchange& exchange);
    void send(std::uint32_t request, std::uint64_t offset, std::uint32_t length);
    void act(curl_socket_t socket, int events);
    void collect();
    void done(Exchange& exchange, CURLcode result);
    void look();
    void looked();
    void probed(const Exchange& exchange, long http_status);
    void refused(long http_status);
    void transport_failed(CURLcode result, long http_status);
    void fail(Status status, std::string detail, bool transient);

    static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* exchange);
    static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* exchange);
    static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*);
    static int on_timer(CURLM*, long milliseconds, void* self);
    static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address);

    Loop& loop_;
    const HttpSettings& settings_;
    SourceListener& listener_;
    const std::string url_;
    CURLM* multi_ = curl_multi_init();
    std::vector<std::unique_ptr<Exchange>> exchanges_; ///< used again and again
    std::map<curl_socket_t, Watch> watches_;
    ImageFacts facts_;
    /// A read whose reply has come.
    struct Unseen {
        std::uint32_t request;
        std::uint32_t length;
    };
    std::deque<Unseen> unseen_;
    std::size_t vouching_ = 0; ///< for so many of them, when the look under way is answered
    bool opened_ = false;
    bool failed_ = false;
    std::string refusal_; ///< of the policy, for an address
    Loop::Handle timer_;
    Loop::Handle lost_;
};

HttpSource::HttpSource(Loop& loop, const HttpSettings& settings, SourceListener& listener)
    : loop_(loop), settings_(settings), listener_(listener), url_(url_of(settings.uri)) {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, connections);
    send(look_request, 0, 1); // one byte tells the size and whether ranges are served
}

HttpSource::~HttpSource() {
    failed_ = true;
    for (const auto& exchange : exchanges_) {
        if (exchange->under_way)
            curl_multi_remove_handle(multi_, exchange->easy);
        curl_easy_cleanup(exchange->easy);
    }
    curl_multi_cleanup(multi_);
}

void HttpSource::configure(CURL* easy, Exchange& exchange) {
    const bool secure = settings_.uri.scheme == "https";
    const Credentials& credentials = settings_.credentials;
    const std::string& user =
        settings_.uri.user.empty() ? credentials.username : settings_.uri.user;
    curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
    const char* schemes = secure ? "https" : "http,https";
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, most_redirects);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, login_limit);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, silence_limit);
    curl_easy_setopt(easy, CURLOPT_FILETIME, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
    if (!user.empty()) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, user.c_str());
        curl_easy_setopt(easy, CURLOPT_PASSWORD, credentials.password.c_str());
        curl_easy_setopt(
            easy, CURLOPT_HTTPAUTH,
            static_cast<long>(secure ? CURLAUTH_BASIC | CURLAUTH_DIGEST : CURLAUTH_DIGEST));
    }
    if (!settings_.authorities.empty()) {
        curl_blob pem{const_cast<char*>(settings_.authorities.data()), settings_.authorities.size(),
                      CURL_BLOB_NOCOPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &pem);
    }
    if (!settings_.pinned_key.empty()) {
        curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, settings_.pinned_key.c_str());
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

void HttpSource::read(std::uint32_t request, std::uint64_t offset, std::uint32_t length) {
    if (!failed_)
        send(request, offset, length);
}

void HttpSource::send(std::uint32_t request, std::uint64_t offset, std::uint32_t length) {
    const auto idle = std::find_if(exchanges_.begin(), exchanges_.end(),
                                   [](const auto& exchange) { return !exchange->under_way; });
    Exchange* exchange = idle == exchanges_.end() ? nullptr : idle->get();
    if (exchange == nullptr) {
        exchange = exchanges_.emplace_back(std::make_unique<Exchange>()).get();
        exchange->source = this;
        exchange->easy = curl_easy_init();
        configure(exchange->easy, *exchange);
    }
    exchange->request = request;
    exchange->offset = offset;
    exchange->length = length;
    exchange->filled = 0;
    exchange->room = {};
    exchange->range.reset();
    exchange->tag.clear();
    exchange->under_way = true;
    const std::string range = std::to_string(offset) + "-" + std::to_string(offset + length - 1);
    curl_easy_setopt(exchange->easy, CURLOPT_RANGE, range.c_str());
    curl_multi_add_handle(multi_, exchange->easy);
}

// What libcurl calls; it must not be called back from in here

std::size_t HttpSource::on_header(char* bytes, std::size_t, std::size_t count, void* data) {
    auto& exchange = *static_cast<Exchange*>(data);
    static constexpr std::string_view name = "content-range: ";
    static constexpr std::string_view tag = "etag: ";
    const std::string_view line(bytes, count);
    if (line.starts_with("HTTP/"))
        exchange.range.reset(), exchange.tag.clear(),
            exchange.filled = 0; // another reply: redirected, or logged in
    else if (line.size() > name.size() && strncasecmp(bytes, name.data(), name.size()) == 0)
        exchange.range = parse_content_range(line.substr(name.size()));
    else if (line.size() < longest_tag && line.size() > tag.size() &&
             strncasecmp(bytes, tag.data(), tag.size()) == 0)
        exchange.tag = line.substr(tag.size());
    return count;
}

std::size_t HttpSource::on_body(char* bytes, std::size_t, std::size_t count, void* data) {
    auto& exchange = *static_cast<Exchange*>(data);
    HttpSource& source = *exchange.source;
    long status = 0;
    curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        return 0;        // the whole file: ranges are not served
    if (status != 206) { // the text of an error
        exchange.filled += static_cast<std::uint32_t>(std::min<std::size_t>(count, longest_error));
        return exchange.filled < longest_error ? count : 0;
    }
    if (source.failed_ || !exchange.range || exchange.range->first != exchange.offset ||
        count > exchange.length - exchange.filled)
        return 0;
    if (source.opened_ && exchange.request != look_request) {
        if (exchange.room.empty())
            exchange.room = source.listener_.source_room(exchange.request, exchange.length);
        if (exchange.room.size() < exchange.length)
            return 0;
        std::copy_n(bytes, count, exchange.room.begin() + exchange.filled);
    }
    exchange.filled += static_cast<std::uint32_t>(count);
    return count;
}

int HttpSource::on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
    auto& source = *static_cast<HttpSource*>(self);
    if (what == CURL_POLL_REMOVE) {
        source.watches_.erase(socket);
        return 0;
    }
    Watch& watch = source.watches_[socket];
    const auto follow = [&](Loop::Handle& handle, bool wanted, Loop::Wait wait, int events) {
        if (!wanted)
            handle.reset();
        else if (!handle)
            handle = source.loop_.watch(socket, wait,
                                        [&source, socket, events] { source.act(socket, events); });
    };
    follow(watch.readable, (what & CURL_POLL_IN) != 0, Loop::Wait::readable, CURL_CSELECT_IN);
    follow(watch.writable, (what & CURL_POLL_OUT) != 0, Loop::Wait::writable, CURL_CSELECT_OUT);
    return 0;
}

int HttpSource::on_timer(CURLM*, long milliseconds, void* self) {
    auto& source = *static_cast<HttpSource*>(self);
    if (milliseconds < 0)
        source.timer_.reset();
    else
        source.timer_ = source.loop_.after(std::chrono::milliseconds(milliseconds),
                                           [&source] { source.act(CURL_SOCKET_TIMEOUT, 0); });
    return 0;
}

curl_socket_t HttpSource::open_socket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& source = *static_cast<HttpSource*>(self);
    if (const auto fine = source.settings_.policy.check(address->addr); !fine) {
        source.refusal_ = fine.fault().message;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Replies

void HttpSource::act(curl_socket_t socket, int events) {
    int running = 0;
    curl_multi_socket_action(multi_, socket, events, &running);
    collect();
}

void HttpSource::collect() {
    int left = 0;
    bool any = false;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE)
            continue;
        const CURLcode result = message->data.result;
        Exchange* exchange = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
        curl_multi_remove_handle(multi_, exchange->easy);
        exchange->under_way = false;
        any = true;
        if (!failed_)
            done(*exchange, result);
    }
    if (!any || !opened_ || failed_)
        return;
    look();
    listener_.source_ready();
}

void HttpSource::done(Exchange& exchange, CURLcode result) {
    long status = 0;
    curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
    if (!opened_ && (result == CURLE_OK || (result == CURLE_WRITE_ERROR && status == 200))) {
        probed(exchange, status);
        return;
    }
    if (result != CURLE_OK && result != CURLE_WRITE_ERROR) {
        transport_failed(result, status);
        return;
    }
    curl_off_t modified = -1;
    curl_easy_getinfo(exchange.easy, CURLINFO_FILETIME_T, &modified);
    const bool same = exchange.range && exchange.range->total == facts_.size &&
                      std::max<curl_off_t>(modified, 0) == facts_.modified &&
                      exchange.tag == facts_.tag;
    if (result != CURLE_OK || status != 206 || !same || exchange.filled == 0) {
        // Whether it is another image now, the next attempt finds out.
        fail(Status::reconnecting,
             "The server's reply does not fit the request (HTTP status " + std::to_string(status) +
                 ").",
             true);
        return;
    }
    if (exchange.request == look_request)
        looked();
    else
        unseen_.push_back({exchange.request, exchange.filled});
}

/// The file may be written to while it is sent to us: its size, time and tag, asked for after a
/// read, vouch for what was read; only then is it given away.
void HttpSource::look() {
    if (failed_ || vouching_ != 0 || unseen_.empty())
        return;
    vouching_ = unseen_.size();
    send(look_request, 0, 1);
}

void HttpSource::looked() {
    for (; vouching_ > 0 && !failed_; --vouching_) {
        const Unseen seen = unseen_.front();
        unseen_.pop_front();
        listener_.source_received(seen.request, seen.length);
    }
}

void HttpSource::probed(const Exchange& exchange, long status) {
    curl_off_t length = -1;
    curl_easy_getinfo(exchange.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    const bool empty = (status == 416 && exchange.range && exchange.range->total == 0) ||
                       (status == 200 && length == 0); // which has no parts
    if (status != 206 && !empty) {
        refused(status);
        return;
    }
    const std::uint64_t size = empty ? 0 : exchange.range ? exchange.range->total : UINT64_MAX;
    if (size > largest_image) {
        fail(Status::failed, "The server does not tell a sound size of the file.", false);
        return;
    }
    curl_off_t modified = -1;
    curl_easy_getinfo(exchange.easy, CURLINFO_FILETIME_T, &modified);
    facts_ = {size, std::max<curl_off_t>(modified, 0), exchange.tag};
    if (facts_.size < settings_.least_size) {
        fail(Status::too_short,
             "The file has only " + std::to_string(facts_.size) +
                 " bytes, less than one sector; it is no image.",
             false);
        return;
    }
    opened_ = true;
    listener_.source_opened(facts_);
}

void HttpSource::refused(long status) {
    const std::string said = " (HTTP status " + std::to_string(status) + ").";
    if (status == 404 || status == 410)
        fail(Status::no_such_file, "The server has no such file; check the path" + said, false);
    else if (status == 401)
        fail(Status::login_refused,
             "The server wants another login; check username and password" + said, false);
    else if (status == 403)
        fail(Status::permission_denied, "The server does not let us read the file" + said, false);
    else if (status == 200)
        fail(Status::failed, "The server does not serve parts of the file (ranges)" + said, false);
    else
        fail(Status::failed, "The server cannot serve the file" + said,
             status >= 500 || status == 429);
}

void HttpSource::transport_failed(CURLcode result, long status) {
    const std::string said = std::string(": ") + curl_easy_strerror(result) + ".";
    if (!refusal_.empty())
        fail(Status::not_allowed, refusal_, false);
    else if (opened_)
        fail(Status::reconnecting, "The connection to the server was lost" + said, true);
    else if (result == CURLE_COULDNT_RESOLVE_HOST)
        fail(Status::unknown_host, "The server's name is not known" + said, true);
    else if (result == CURLE_COULDNT_CONNECT)
        fail(Status::connection_refused, "Nobody answers at the server's port" + said, true);
    else if (result == CURLE_SSL_CACERT_BADFILE)
        fail(Status::failed, "tls_ca holds no usable certificate" + said, false);
    else if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        fail(Status::failed, "The server's certificate is not trusted" + said, false);
    else if (status / 100 == 3)
        fail(Status::failed, "The server redirects to where we do not go" + said, false);
    else
        fail(Status::unreachable, "The server does not answer properly" + said, true);
}

void HttpSource::fail(Status status, std::string detail, bool transient) {
    if (failed_)
        return;
    failed_ = true;
    lost_ = loop_.after(std::chrono::milliseconds(0), // not from inside libcurl
                        [this, problem = Problem{status, std::move(detail), transient}] {
                            listener_.source_lost(problem);
                        });
}

} // namespace

std::unique_ptr<Source> open_http(Loop& loop, const HttpSettings& settings,
                                  SourceListener& listener) {
    return std::make_unique<HttpSource>(loop, settings, listener);
}

} // namespace lom::media
