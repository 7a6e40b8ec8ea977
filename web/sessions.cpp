#include "web/sessions.h"

#include "web/digest.h"

#include <algorithm>

namespace lom::web {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto wait_for_lomd = 3s; // of one request, while lomd starts anew
constexpr auto retry_every = 100ms;
constexpr auto away_limit = 60s; // lomd's own patience with sessions that nobody resumes
constexpr auto sweep_every = 1s;
constexpr auto basic_idle = 30s;
constexpr auto basic_limit = 60s; // then the password is checked again
constexpr std::size_t most_sessions = 200;
constexpr int most_beginning = 64;      // lomd hashes one password after the other
constexpr int most_unknown_tokens = 50; // a second

Fault away() {
    return {FaultKind::unavailable, "The service processor is starting anew; try again soon."};
}
Fault over() { return {FaultKind::denied, "The session has ended; log in again."}; }

bool looks_like_a_token(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

struct Count {
    explicit Count(int& counted) : number(counted) { ++number; }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    ~Count() { --number; }
    int& number;
};

template <typename T, typename Decode>
Result<T> decoded(Result<ControlLink::Answer> answer, const Decode& decode) {
    if (!answer)
        return answer.fault();
    return decode(answer->json);
}

} // namespace

// -- one session

WebSession::WebSession(Loop& loop, std::unique_ptr<ControlLink> link, control::Hello hello)
    : last_used(Clock::now()), loop_(loop), link_(std::move(link)), hello_(std::move(hello)) {}

Task<Result<ControlLink::Answer>> WebSession::ask(control::Request request) {
    const auto keep = shared_from_this();
    last_asked_ = Clock::now();
    const bool may_repeat = request.op == "show" || request.op == "describe";
    if (may_repeat && !ended_ && link_->is_open() && link_->is_occupied()) {
        auto answer = co_await ask_aside(request);
        if (answer)
            co_return std::move(answer);
    }
    for (int attempt = 0; attempt < 2; ++attempt) {
        const bool back = co_await wait_for_link();
        if (ended_)
            break;
        if (!back)
            co_return away();
        auto call = later<Result<ControlLink::Answer>>(
            [this, &request](ControlLink::Done done) { link_->call(request, std::move(done)); });
        auto answer = co_await call;
        if (answer || (link_->is_open() && !resuming_))
            co_return std::move(answer);
        // lomd has gone, or has ended this session: what only reads may be asked again.
        if (!may_repeat) {
            co_await wait_for_link();
            if (!ended_)
                co_return std::move(answer);
        }
    }
    co_return ended_ ? over() : away();
}

Task<Result<ControlLink::Answer>> WebSession::ask_aside(control::Request request) {
    const auto keep = shared_from_this();
    if (!aside_)
        aside_ = std::make_unique<ControlLink>(loop_, link_->path());
    if (!aside_->is_open()) {
        if (!aside_->connect())
            co_return away();
        // Others may ask meanwhile: their questions go out behind this one.
        auto resume = later<Result<ControlLink::Answer>>([this](ControlLink::Done done) {
            aside_->call(
                {.op = "resume", .version = control::protocol_version, .ticket = hello_.ticket},
                std::move(done));
        });
        auto answer = co_await resume;
        const auto hello = decoded<control::Hello>(std::move(answer), control::decode_hello);
        if (!hello && aside_)
            aside_->close();
        if (!hello)
            co_return hello.fault();
    }
    if (!aside_) // it ended meanwhile
        co_return over();
    auto call = later<Result<ControlLink::Answer>>([this, &request](ControlLink::Done done) {
        aside_->call(std::move(request), std::move(done));
    });
    auto answer = co_await call;
    co_return std::move(answer);
}

/// Whether the link is ours, after a while if need be.
Task<bool> WebSession::wait_for_link() {
    const auto keep = shared_from_this();
    const auto ready = [this] { return link_->is_open() && !resuming_; };
    if (!ready() && !ended_) {
        auto wait = later<bool>([this](std::function<void(bool)> done) {
            auto waiter = std::make_shared<Waiter>();
            waiter->done = std::move(done);
            waiter->limit = loop_.after(wait_for_lomd, [this, weak = std::weak_ptr(waiter)] {
                if (const auto late = weak.lock()) {
                    std::erase(waiters_, late);
                    late->done(false);
                }
            });
            waiters_.push_back(std::move(waiter));
        });
        co_await wait;
    }
    co_return ready() && !ended_;
}

void WebSession::take_up_again() {
    if (ended_ || std::exchange(resuming_, true))
        return;
    away_since_ = Clock::now();
    try_again();
}

void WebSession::try_again() {
    retry_.reset();
    if (ended_)
        return;
    const auto again = [this] {
        if (Clock::now() - away_since_ > away_limit)
            return end();
        retry_ = loop_.after(retry_every, [weak = weak_from_this()] {
            if (const auto self = weak.lock())
                self->try_again();
        });
    };
    if (!link_->connect())
        return again();
    link_->call({.op = "resume", .version = control::protocol_version, .ticket = hello_.ticket},
                [weak = weak_from_this(), again](Result<ControlLink::Answer> answer) {
                    const auto self = weak.lock();
                    if (!self || self->ended_)
                        return;
                    const auto hello =
                        decoded<control::Hello>(std::move(answer), control::decode_hello);
                    if (hello) {
                        self->resuming_ = false;
                        return self->settle(true);
                    }
                    self->link_->close();
                    if (hello.fault().kind == FaultKind::denied)
                        return self->end();
                    again();
                });
}

void WebSession::settle(bool connected) {
    for (const auto& waiter : std::exchange(waiters_, {}))
        waiter->done(connected);
}

void WebSession::end() {
    if (std::exchange(ended_, true))
        return;
    const auto keep = shared_from_this();
    retry_.reset();
    link_->close();
    aside_.reset();
    settle(false);
    for (const auto& weak : std::exchange(attachments_, {}))
        if (const auto attachment = weak.lock())
            attachment->cut();
}

std::shared_ptr<Attachment> WebSession::attach(std::function<void()> cut, bool keeps_alive) {
    std::erase_if(attachments_, [](const auto& weak) { return weak.expired(); });
    auto attachment = std::make_shared<Attachment>(Attachment{std::move(cut), keeps_alive});
    attachments_.push_back(attachment);
    return attachment;
}

bool WebSession::watched() const {
    return std::any_of(attachments_.begin(), attachments_.end(), [](const auto& weak) {
        const auto attachment = weak.lock();
        return attachment && attachment->keeps_alive;
    });
}

Task<Result<control::TargetView>> WebSession::show(std::string target, int depth) {
    control::Request request{.op = "show", .target = std::move(target), .depth = depth};
    auto answer = co_await ask(std::move(request));
    co_return decoded<control::TargetView>(std::move(answer), control::decode_view);
}

Task<Result<control::TargetDescription>> WebSession::describe(std::string target) {
    control::Request request{.op = "describe", .target = std::move(target)};
    auto answer = co_await ask(std::move(request));
    co_return decoded<control::TargetDescription>(std::move(answer), control::decode_description);
}

Task<Result<control::SetReply>> WebSession::set(std::string target, std::string property,
                                                std::string value) {
    control::Request request{.op = "set",
                             .target = std::move(target),
                             .property = std::move(property),
                             .value = std::move(value)};
    auto answer = co_await ask(std::move(request));
    co_return decoded<control::SetReply>(std::move(answer), control::decode_set);
}

Task<Result<control::RunReply>> WebSession::run(control::RunRequest wanted) {
    control::Request request{.op = "run",
                             .target = std::move(wanted.target),
                             .verb = std::move(wanted.verb),
                             .force = wanted.force,
                             .properties = std::move(wanted.properties),
                             .console_offset = wanted.console_offset,
                             .resumed = wanted.resumed};
    auto answer = co_await ask(std::move(request));
    if (!answer)
        co_return answer.fault();
    auto reply = control::decode_run(answer->json);
    if (reply)
        reply->fd = std::move(answer->fd);
    co_return std::move(reply);
}

Task<Result<control::RunReply>> WebSession::events() {
    control::Request request{.op = "events"};
    auto answer = co_await ask(std::move(request));
    if (!answer)
        co_return answer.fault();
    if (const auto done = control::decode_done(answer->json); !done)
        co_return done.fault();
    control::RunReply reply;
    reply.stream = "events";
    reply.fd = std::move(answer->fd);
    co_return Result<control::RunReply>(std::move(reply));
}

Task<bool> WebSession::log_out() {
    const auto keep = shared_from_this();
    control::Request request{.op = "log_out"};
    const auto answer = co_await ask(std::move(request));
    end();
    co_return static_cast<bool>(answer);
}

// -- all of them

WebSessions::WebSessions(Loop& loop, std::string control_socket, std::string door_ticket,
                         std::chrono::minutes time_out)
    : loop_(loop), control_socket_(std::move(control_socket)), door_ticket_(std::move(door_ticket)),
      time_out_(time_out), basic_salt_(random_hex(32)) {
    sweep_ = loop_.every(sweep_every, [this] { sweep(); });
}

/// A new connection to lomd, and the two requests that make it somebody's.
Task<Result<WebSessions::Ptr>> WebSessions::begin(control::Request first, control::Request second) {
    if (beginning_ >= most_beginning)
        co_return Fault{FaultKind::busy, "Too many are logging in at once; try again soon."};
    const Count count(beginning_);
    auto link = std::make_unique<ControlLink>(loop_, control_socket_);
    const auto deadline = Clock::now() + wait_for_lomd;
    while (!link->connect()) {
        if (Clock::now() > deadline)
            co_return away();
        auto pause = later<bool>([this](std::function<void(bool)> done) {
            auto timer = std::make_shared<Loop::Handle>();
            *timer = loop_.after(retry_every, [timer, done = std::move(done)] {
                const auto finished = done;
                timer->reset();
                finished(true);
            });
        });
        co_await pause;
    }
    control::Hello hello;
    for (control::Request* request : {&first, &second}) {
        if (request->op.empty())
            continue;
        auto call = later<Result<ControlLink::Answer>>(
            [&link, request](ControlLink::Done done) { link->call(*request, std::move(done)); });
        auto answer = co_await call;
        auto greeted = decoded<control::Hello>(std::move(answer), control::decode_hello);
        if (!greeted)
            co_return greeted.fault();
        hello = std::move(*greeted);
    }
    auto session = std::make_shared<WebSession>(loop_, std::move(link), std::move(hello));
    session->link_->on_closed = [weak = std::weak_ptr(session)] {
        if (const auto alive = weak.lock())
            alive->take_up_again();
    };
    sessions_[session->token()] = session;
    make_room(session);
    co_return session;
}

/// Scripts that never log out keep nobody out: the session that was idle for longest ends.
void WebSessions::make_room(const Ptr& newest) {
    if (sessions_.size() <= most_sessions)
        return;
    Ptr oldest;
    for (const auto& [token, session] : sessions_)
        if (session != newest && !session->watched() && !session->ended() &&
            (!oldest || session->last_used < oldest->last_used))
            oldest = session;
    if (oldest)
        detach<bool>(log_out(oldest), nullptr);
}

Task<Result<WebSessions::Ptr>> WebSessions::log_in(std::string name, std::string password,
                                                   std::string source) {
    control::Request hello{
        .op = "hello", .version = control::protocol_version, .ticket = door_ticket_, .type = "web"};
    control::Request login{.op = "authenticate",
                           .username = std::move(name),
                           .password = std::move(password),
                           .source = std::move(source)};
    auto session = co_await begin(std::move(hello), std::move(login));
    co_return std::move(session);
}

Task<Result<WebSessions::Ptr>> WebSessions::find(std::string token) {
    if (!looks_like_a_token(token))
        co_return over();
    if (const auto found = sessions_.find(token); found != sessions_.end()) {
        if (found->second->ended())
            co_return over();
        found->second->last_used = Clock::now();
        co_return found->second;
    }
    // From before this lom-web was started, or made up.
    if (++unknown_tokens_ > most_unknown_tokens)
        co_return over();
    control::Request resume{
        .op = "resume", .version = control::protocol_version, .ticket = std::move(token)};
    control::Request nothing;
    auto session = co_await begin(std::move(resume), std::move(nothing));
    co_return std::move(session);
}

Task<Result<WebSessions::Ptr>> WebSessions::basic(std::string name, std::string password,
                                                  std::string source) {
    // The source too: lomd delays and locks out by it.
    const std::string key = sha256_hex(basic_salt_ + source + '\0' + name + '\0' + password);
    Basic& entry = basic_[key];
    if (entry.session && !entry.session->ended()) {
        entry.session->last_used = Clock::now();
        co_return entry.session;
    }
    if (entry.busy) {
        auto wait = later<Result<Ptr>>([&entry](std::function<void(Result<Ptr>)> done) {
            entry.waiting.push_back(std::move(done));
        });
        auto session = co_await wait;
        co_return std::move(session);
    }
    entry.busy = true;
    auto session = co_await log_in(std::move(name), std::move(password), std::move(source));
    if (session) {
        (*session)->basic_key = key;
        entry.session = *session;
        entry.since = Clock::now();
    }
    entry.busy = false;
    const auto waiting = std::exchange(entry.waiting, {});
    if (!session)
        basic_.erase(key);
    for (const auto& done : waiting)
        done(session);
    co_return std::move(session);
}

Task<bool> WebSessions::log_out(Ptr session) {
    const bool done = co_await session->log_out();
    sessions_.erase(session->token());
    co_return done;
}

void WebSessions::sweep() {
    unknown_tokens_ = 0;
    const auto now = Clock::now();
    std::vector<Ptr> idle;
    for (auto at = sessions_.begin(); at != sessions_.end();) {
        const Ptr session = at->second;
        if (session->ended()) {
            at = sessions_.erase(at);
            continue;
        }
        const auto limit = session->basic_key.empty() ? std::chrono::seconds(time_out_)
                                                      : std::chrono::seconds(basic_idle);
        if (now - session->last_used > limit && !session->watched())
            idle.push_back(session);
        ++at;
    }
    for (auto at = basic_.begin(); at != basic_.end();) {
        const bool old = !at->second.busy && now - at->second.since > basic_limit;
        if (old && at->second.session)
            idle.push_back(at->second.session);
        at = old ? basic_.erase(at) : std::next(at);
    }
    for (const Ptr& session : idle) {
        std::erase_if(basic_, [&](const auto& entry) { return entry.second.session == session; });
        detach<bool>(log_out(session), nullptr);
    }
}

} // namespace lom::web
