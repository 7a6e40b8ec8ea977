#include "vmm/qmp_client.h"

#include <algorithm>
#include <utility>

namespace lom::vmm {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// QEMU listens some 20 ms after its start: looking often keeps a power-on short.
constexpr auto connect_pause = 2ms;

std::chrono::milliseconds until(Clock::time_point when) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(when - Clock::now());
    return std::max(left, 0ms);
}

} // namespace

QmpClient::QmpClient(Loop& loop, std::string path, std::chrono::milliseconds limit,
                     Handlers handlers)
    : loop_(loop), path_(std::move(path)), handlers_(std::move(handlers)),
      deadline_(Clock::now() + limit) {
    timer_ = loop_.after(0ms, [this] { connect(); });
}

void QmpClient::connect() {
    auto socket = connect_unix(path_);
    if (!socket) {
        if (Clock::now() > deadline_)
            return close("its monitor is not there");
        timer_ = loop_.after(connect_pause, [this] { connect(); });
        return;
    }
    stream_ = std::make_unique<Stream>(
        loop_, std::move(*socket),
        Stream::Handlers{[this](std::string_view bytes, auto) { on_data(bytes); },
                         [this](const std::string& reason) { close(reason); }});
    timer_ = loop_.after(until(deadline_), [this] { close("it does not greet"); });
}

void QmpClient::on_data(std::string_view bytes) {
    const std::weak_ptr<bool> alive = life_;
    const auto messages = reader_.feed(bytes);
    if (!messages)
        return close(messages.fault().message);
    for (const QmpMessage& message : *messages) {
        on_message(message);
        if (alive.expired() || !stream_)
            return;
    }
}

void QmpClient::on_message(const QmpMessage& message) {
    switch (message.kind) {
    case QmpMessage::Kind::greeting:
        return on_greeting();
    case QmpMessage::Kind::event:
        if (const auto event = handlers_.event; ready_) // a copy: it may destroy this object
            event(message.name, message.data);
        return;
    case QmpMessage::Kind::answer:
    case QmpMessage::Kind::fault:
        return on_answer(message);
    }
}

void QmpClient::on_greeting() {
    if (last_id_ != 0)
        return; // greeted before
    send("qmp_capabilities", "", [this](const Result<QmpFields>& agreed) {
        if (!agreed)
            return close("it refuses to talk: " + agreed.fault().message);
        ready_ = true;
        const auto ready = handlers_.ready;
        ready();
    });
}

void QmpClient::on_answer(const QmpMessage& message) {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Waiting& entry) { return entry.id == message.id; });
    if (found == waiting_.end())
        return;
    const Answer answer = std::move(found->answer);
    waiting_.erase(found);
    watch_clock();
    if (message.kind == QmpMessage::Kind::answer)
        answer(message.data);
    else
        answer(Fault{FaultKind::unavailable, message.complaint});
}

void QmpClient::execute(const std::string& command, const std::string& arguments, Answer answer) {
    if (!ready_)
        return answer(Fault{FaultKind::unavailable, "QEMU does not answer now."});
    send(command, arguments, std::move(answer));
}

void QmpClient::send(const std::string& command, const std::string& arguments, Answer answer) {
    waiting_.push_back({++last_id_, Clock::now(), std::move(answer)});
    if (waiting_.size() == 1)
        watch_clock();
    stream_->send(qmp_command(last_id_, command, arguments));
}

void QmpClient::watch_clock() {
    if (waiting_.empty())
        return timer_.reset();
    timer_ = loop_.after(until(waiting_.front().since + answer_limit),
                         [this] { close("it does not answer"); });
}

void QmpClient::close(const std::string& reason) {
    const std::weak_ptr<bool> alive = life_;
    ready_ = false;
    timer_.reset();
    stream_.reset();
    for (const Waiting& entry : std::exchange(waiting_, {})) {
        entry.answer(Fault{FaultKind::unavailable, "QEMU did not answer: " + reason + "."});
        if (alive.expired())
            return;
    }
    if (handlers_.closed) {
        const auto closed = std::exchange(handlers_.closed, nullptr);
        closed(reason);
    }
}

} // namespace lom::vmm
