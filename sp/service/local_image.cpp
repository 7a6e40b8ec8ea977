#include "sp/service/local_image.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace lom {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view before_name = "browser:///";
constexpr std::size_t longest_name = 255;
constexpr auto pause = 50ms;
constexpr auto limit = 10s; // in which lom-media starts
constexpr std::size_t most_waiting = 16;

bool is_file_name(const std::string& name) {
    return !name.empty() && name.size() <= longest_name && name != "." && name != ".." &&
           std::none_of(name.begin(), name.end(), [](char c) {
               return c == '/' || static_cast<unsigned char>(c) < ' ' || c == '\x7f';
           });
}

} // namespace

std::string LocalImage::file() const {
    const std::string uri = drive_.uri();
    return is_local(uri) ? uri.substr(std::min(before_name.size(), uri.size())) : std::string();
}

std::string LocalImage::session() const { return file().empty() ? std::string() : *session_; }

std::string LocalImage::who() const { return file().empty() ? std::string() : *who_; }

Result<void> LocalImage::put_in(const Request& request) {
    if (!is_file_name(request.file))
        return Fault{FaultKind::invalid_value, "That is not the name of a file."};
    const bool there = file() == request.file && session() == request.session;
    if (there && request.resume)
        return {};
    if (request.resume)
        return Fault{FaultKind::wrong_state, "That image is not in the drive any more."};
    if (!file().empty() && session() != request.session && !request.force)
        return Fault{FaultKind::busy, "An image of " + who() + " is in the drive; eject it first."};
    // Out first: an image must never count as another session's, nor as another file.
    if (const auto out = drive_.insert(request, ""); !out)
        return out;
    if (const auto stored = session_.set(request.session); !stored)
        return stored;
    if (const auto stored = who_.set(request.who); !stored)
        return stored;
    return drive_.insert(request, std::string(before_name) + request.file);
}

void LocalImage::open(const Request& request, Done done) {
    if (waiting_.size() >= most_waiting)
        return done(Fault{FaultKind::busy, "Too many pages want to feed the drive."});
    if (const auto in = put_in(request); !in)
        return done(in.fault());
    const auto wait = std::make_shared<Wait>();
    wait->done = std::move(done);
    wait->until = std::chrono::steady_clock::now() + limit;
    waiting_.push_back(wait);
    try_to_connect(wait);
}

void LocalImage::try_to_connect(const std::shared_ptr<Wait>& wait) {
    auto fd = drive_.connect();
    if (fd || std::chrono::steady_clock::now() > wait->until) {
        const Done done = std::move(wait->done);
        std::erase(waiting_, wait);
        return done(std::move(fd));
    }
    wait->again = loop_.after(pause, [this, weak = std::weak_ptr(wait)] {
        if (const auto self = weak.lock())
            try_to_connect(self);
    });
}

void LocalImage::end_session(const std::string& session) {
    if (!file().empty() && *session_ == session)
        (void)drive_.insert({}, "");
}

} // namespace lom
