#include "web/control_link.h"

namespace lom::web {

using namespace std::chrono_literals;

namespace {

// Longer than any verb waits inside lomd: a ping gives up after 10 s.
constexpr auto call_limit = 60s;
constexpr std::size_t most_waiting = 1000;

Fault gone() {
    return {FaultKind::unavailable, "The service processor does not answer; try again soon."};
}

} // namespace

ControlLink::~ControlLink() {
    on_closed = nullptr;
    close();
}

Result<void> ControlLink::connect() {
    close();
    auto socket = connect_unix(path_);
    if (!socket)
        return gone();
    reader_ = std::make_unique<control::FrameReader>(control::longest_reply);
    stream_ = std::make_unique<Stream>(
        loop_, std::move(*socket),
        Stream::Handlers{[this](std::string_view bytes, std::vector<UniqueFd> fds) {
                             on_data(bytes, std::move(fds));
                         },
                         [this](const std::string&) { close(); }});
    return {};
}

void ControlLink::call(control::Request request, Done done) {
    if (!stream_ || waiting_.size() >= most_waiting)
        return loop_.post([done = std::move(done)] { done(gone()); });
    request.id = next_id_++;
    const bool passes_fd = request.op != "show" && request.op != "describe";
    waiting_.push_back({control::frame(control::encode(request)), passes_fd, std::move(done)});
    send_next();
}

void ControlLink::send_next() {
    while (stream_ && !waiting_.empty()) {
        const bool alone = waiting_.front().passes_fd || (!sent_.empty() && sent_.back().passes_fd);
        if (alone && !sent_.empty())
            return;
        Call call = std::move(waiting_.front());
        waiting_.pop_front();
        std::string frame = std::move(call.frame);
        sent_.push_back(std::move(call));
        stream_->send(std::move(frame));
    }
    watch_time();
}

void ControlLink::watch_time() {
    if (sent_.empty())
        limit_.reset();
    else if (!limit_)
        limit_ = loop_.after(call_limit, [this] { close(); });
}

void ControlLink::on_data(std::string_view bytes, std::vector<UniqueFd> fds) {
    for (UniqueFd& fd : fds)
        fd_ = std::move(fd);
    if (!reader_->feed(bytes))
        return close();
    while (stream_) {
        auto message = reader_->next();
        if (!message)
            return;
        if (sent_.empty())
            return close(); // an answer that nobody asked for
        Call call = std::move(sent_.front());
        sent_.pop_front();
        limit_.reset();
        Answer answer;
        answer.json = std::move(*message);
        if (call.passes_fd)
            answer.fd = std::move(fd_);
        send_next();
        // Whoever gets it may destroy this link.
        loop_.post([done = std::move(call.done), shared = std::make_shared<Answer>(std::move(
                                                     answer))] { done(std::move(*shared)); });
    }
}

void ControlLink::close() {
    if (!stream_)
        return;
    stream_.reset();
    limit_.reset();
    fd_.reset();
    fail_all();
    if (on_closed)
        loop_.post(on_closed);
}

void ControlLink::fail_all() {
    for (auto* calls : {&sent_, &waiting_}) {
        for (Call& call : *calls)
            loop_.post([done = std::move(call.done)] { done(gone()); });
        calls->clear();
    }
}

} // namespace lom::web
