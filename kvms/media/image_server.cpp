#include "kvms/media/image_server.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <iostream>
#include <utility>

namespace lom::media {

namespace {

constexpr auto first_retry = std::chrono::milliseconds(100);
constexpr auto longest_retry_at_start = std::chrono::milliseconds(5000);
constexpr auto longest_retry_when_served = std::chrono::milliseconds(2000);
constexpr auto longest_retry_when_awaited = std::chrono::milliseconds(500);
/// What another try will hardly mend; refused logins may lock an account.
constexpr auto retry_of_permanent = std::chrono::milliseconds(30000);

/// Tells one image from another as far as its size, its time and its first block do.
std::string identity_of(const ImageFacts& facts, std::string_view head) {
    std::uint64_t hash = 0xcbf29ce484222325U; // FNV-1a
    for (const char byte : head)
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
    return std::to_string(facts.size) + "-" + std::to_string(facts.modified) + "-" +
           std::to_string(hash);
}

} // namespace

ImageServer::ImageServer(Loop& loop, Settings settings, Steward& steward, MakeSource make_source,
                         std::unique_ptr<Keeper> keeper)
    : loop_(loop), settings_(std::move(settings)), make_source_(std::move(make_source)),
      keeper_(std::move(keeper)),
      mount_(loop, steward,
             {[this](ImageReader::Token token, std::uint64_t offset, std::size_t size) {
                  reader_.read(token, offset, size, Clock::now());
              },
              [this] { request_blocks(); },
              [this] {
                  std::cerr << "lom-media: " << settings_.file
                            << " was unmounted by somebody else.\n";
                  stop(1);
              }},
             keeper_.get()),
      reader_(settings_.cache_bytes, mount_), retry_delay_(first_retry) {
    report_.uri = settings_.uri;
    reader_.fill(settings_.fill);
    report_.confinement = settings_.confinement;
    report_.holding = keeper_ != nullptr;
    mount_.hold_readers(report_.holding);
}

void ImageServer::listen(UniqueFd control) {
    control_.emplace(loop_, std::move(control),
                     ControlSocket::Handlers{
                         [this] { eject(); }, [this] { stop(0); },
                         [this](bool held, std::chrono::seconds limit) { hold(held, limit); }});
}

int ImageServer::run() {
    std::vector<Loop::Handle> signals;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        signals.push_back(loop_.on_signal(signal, [this](int) { stop(0); }));
    const auto ticks = loop_.every(std::chrono::seconds(1), [this] { tick(); });
    report(Status::connecting, "Connecting to the server.");
    connect();
    loop_.run();
    return exit_status_;
}

void ImageServer::connect() {
    ++report_.tries;
    source_ = make_source_(*this);
}

void ImageServer::retry(bool transient) {
    if (!transient) {
        retry_ = loop_.after(retry_of_permanent, [this] { connect(); });
        return;
    }
    const auto longest = !ready_                               ? longest_retry_at_start
                         : reader_.next_deadline().has_value() ? longest_retry_when_awaited
                                                               : longest_retry_when_served;
    retry_ = loop_.after(std::min(retry_delay_, longest), [this] { connect(); });
    retry_delay_ = std::min(2 * retry_delay_, longest);
}

// The source

void ImageServer::source_identified(const ServerIdentity& identity) {
    if (settings_.warn_of_unremembered_key && report_.host_key_fingerprint.empty())
        std::cerr << "lom-media: warning: the host key " << identity.key_type << " "
                  << identity.fingerprint
                  << " is accepted unseen; give --known-hosts to have it remembered.\n";
    report_.host_key_type = identity.key_type;
    report_.host_key_fingerprint = identity.fingerprint;
}

void ImageServer::source_opened(const ImageFacts& facts) {
    open_disk_cache(facts);
    reader_.open(facts);
    if (reader_.state() == ImageReader::State::changed)
        return; // source_ready() sees to it
    report_.size = facts.size;
    if (mount_.mounted())
        return;
    if (const auto mounted = mount_.mount(facts); !mounted) {
        report(Status::failed, mounted.fault().message);
        std::cerr << "lom-media: " << mounted.fault().message << "\n";
        stop(1);
    }
}

/// Without it everything works, only slower: a fault is a line in the log.
void ImageServer::open_disk_cache(const ImageFacts& facts) {
    if (settings_.disk.folder.empty())
        return;
    auto opened = DiskStore::open(loop_, settings_.disk, settings_.uri, facts);
    settings_.disk.folder.clear(); // one attempt
    if (!opened) {
        std::cerr << "lom-media: " << opened.fault().message << "\n";
        return;
    }
    disk_ = std::move(*opened);
    reader_.use(disk_.get());
}

std::span<char> ImageServer::source_room(std::uint32_t request, std::uint32_t length) {
    return reader_.room(request, length);
}

void ImageServer::source_received(std::uint32_t request, std::uint32_t length) {
    reader_.received(request, length, Clock::now());
    retry_delay_ = first_retry;
}

void ImageServer::source_read_failed(std::uint32_t request) { reader_.failed(request); }

void ImageServer::source_ready() { request_blocks(); }

void ImageServer::source_lost(const Problem& problem) {
    source_.reset();
    reader_.lost();
    if (reader_.state() == ImageReader::State::changed)
        return;
    if (!ready_ && !control_) {
        std::cerr << "lom-media: " << word(problem.status) << ": " << problem.detail << "\n";
        stop(1);
        return;
    }
    if (!problem.transient)
        reader_.stall();
    report_.last_error = problem.detail;
    report(ready_ && problem.transient ? Status::reconnecting : problem.status, problem.detail);
    retry(problem.transient);
}

/// Sends block requests until the engine wants no more. Sending may bring replies, which may make
/// room for further requests.
void ImageServer::request_blocks() {
    for (bool sent = source_ != nullptr; sent;) {
        sent = false;
        while (const auto request = reader_.next_request(Clock::now())) {
            source_->read(request->id, request->offset, request->length);
            sent = true;
        }
        if (sent)
            source_->flush();
    }
    review();
}

/// Looks at what a batch of replies has changed.
void ImageServer::review() {
    if (report_.status == Status::operational && reader_.state() == ImageReader::State::open)
        return;
    if (reader_.state() == ImageReader::State::open && !reader_.head().empty() &&
        !reader_.stalled()) {
        became_operational();
    } else if (reader_.state() == ImageReader::State::changed &&
               report_.status != Status::image_changed) {
        report(Status::image_changed,
               "The image on the server is another one than before; insert it anew.");
        loop_.post([this] { source_.reset(); }); // not from inside its own call
    }
}

void ImageServer::became_operational() {
    if (!ready_) {
        ready_ = true;
        report_.volume_id = volume_id(reader_.head());
        if (reader_.line_is_short())
            mount_.read_wider();
        report_.identity = identity_of(reader_.facts(), reader_.head());
        std::cout << "ready" << std::endl;
    }
    report(Status::operational, "The image can be read.");
}

// Clock, control, end

void ImageServer::tick() {
    reader_.expire(Clock::now());
    if (reader_.stalled() && report_.status == Status::operational) {
        report_.last_error = "The server did not answer a read within 20 seconds.";
        report(Status::stalled, report_.last_error + " The line may be too slow.");
    }
    note_figures();
    publish();
    request_blocks(); // the line may have been idle for long enough to fill
}

/// Once a second.
void ImageServer::note_figures() {
    const ImageReader::Figures figures = reader_.figures();
    const std::uint64_t received = reader_.bytes_received();
    const std::uint64_t rate = (report_.rate + received - std::exchange(bytes_then_, received)) / 2;
    report_.bytes_read = received;
    report_.rate = rate < 1024 ? 0 : rate;
    report_.latency = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(figures.latency).count());
    report_.cache_hits = figures.reads == 0 ? 0 : figures.hits * 100 / figures.reads;
    report_.fill = report_.size == 0 ? 0 : figures.held * 100 / report_.size;
}

void ImageServer::report(Status status, std::string detail) {
    if (status == Status::operational)
        report_.since = 0, report_.tries = 0;
    else if (report_.since == 0) {
        report_.since = std::time(nullptr);
        report_.tries = 0;
    }
    report_.status = status;
    report_.detail = std::move(detail);
    report_.bytes_read = reader_.bytes_received();
    publish();
}

void ImageServer::publish() {
    if (!control_ || report_ == published_)
        return;
    published_ = report_;
    control_->publish(report_);
}

void ImageServer::hold(bool hold, std::chrono::seconds limit) {
    mount_.hold_readers(hold);
    if (keeper_)
        keeper_->follow_policy(hold, limit);
    report_.holding = hold;
    publish();
}

void ImageServer::eject() {
    reader_.eject();
    hold(false, std::chrono::seconds(0));
    report_.ejected = true;
    publish();
}

void ImageServer::stop(int exit_status) {
    exit_status_ = exit_status;
    retry_.reset();
    reader_.refuse_pending();
    mount_.unmount();
    loop_.stop();
}

} // namespace lom::media
