#include "kvms/screen/screen.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "base/stream.h"
#include "kvms/screen/json_lines.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

namespace json = boost::json;

namespace lom::kvms {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

using namespace fields;

constexpr int control_fd = 3;
constexpr auto display_pause = 100ms; // sooner would slow the 60 ms of firmware before a first byte
constexpr auto answer_limit = 10s;
constexpr auto short_life = 1s;
constexpr auto restart_pause = 500ms; // of one that dies at once, again and again
constexpr std::size_t longest_png = 64U << 20U;

constexpr int sealed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

/// A file in memory that nobody can change any more, of a size that makes sense.
bool is_sealed_file(int fd) {
    struct stat facts {};
    return fd >= 0 && (fcntl(fd, F_GET_SEALS) & sealed) == sealed && fstat(fd, &facts) == 0 &&
           facts.st_size > 0 && static_cast<std::size_t>(facts.st_size) <= longest_png;
}

const Fault absent{FaultKind::unavailable, "The screen's server is being started; try again."};

} // namespace

struct Screen::Impl {
    Impl(Loop& loop_in, ScreenPaths paths_in, std::string host_in, Observer observer_in)
        : loop(loop_in), paths(std::move(paths_in)), host(std::move(host_in)),
          observer(std::move(observer_in)) {}

    // -- the process

    void open() {
        if (!adopt())
            start();
    }

    bool adopt() {
        const auto record = read_file(paths.record);
        boost::system::error_code error;
        const json::value value = record ? json::parse(*record, error) : json::value();
        const json::object* object = error ? nullptr : value.if_object();
        if (object == nullptr)
            return false;
        const ProcessId running{number<pid_t>(*object, "pid"),
                                number<std::uint64_t>(*object, "start_time")};
        if (!is_alive(running))
            return false;
        if (auto socket = connect_unix(paths.control)) {
            process = running;
            watch();
            talk(std::move(*socket));
            return true;
        }
        send_signal(running, SIGKILL); // nobody could reach it any more
        return false;
    }

    void start() {
        restart.reset();
        auto listener = listen_unix(paths.control, 0600);
        const UniqueFd programs(::open(paths.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!listener || !programs)
            return try_again();
        SpawnOptions options;
        options.argv = {"lom-kvm", "--control-fd", std::to_string(control_fd), "--host", host};
        options.fds = {{listener->get(), control_fd}};
        options.program_folder = programs.get();
        options.stderr_path = paths.log;
        run_as_nobody(options);
        const auto spawned = spawn(options);
        if (!spawned)
            return try_again();
        process = *spawned;
        started = Clock::now();
        (void)write_file_durably(paths.record,
                                 json::serialize(json::object{{"pid", process->pid},
                                                              {"start_time", process->start_time}}),
                                 0600);
        watch();
        if (auto socket = connect_unix(paths.control))
            talk(std::move(*socket));
    }

    void end() {
        exit_watch.reset();
        restart.reset();
        if (process)
            send_signal(*process, SIGKILL);
    }

    void try_again() {
        restart = loop.after(restart_pause, [this] { start(); });
    }

    void watch() {
        exit_watch = loop.on_exit(process->pid, [this](int) {
            exit_watch.reset();
            process.reset();
            link.reset();
            status = {};
            observer.changed();
            for (auto& [id, waiting] : std::exchange(waiting_answers, {}))
                waiting.done(absent, {}, {});
            if (Clock::now() - started < short_life)
                try_again();
            else
                start();
        });
    }

    void talk(UniqueFd socket) {
        lines.emplace([this](const json::object& message) { on_message(message); });
        link = std::make_unique<Stream>(
            loop, std::move(socket),
            Stream::Handlers{[this](std::string_view bytes, std::vector<UniqueFd> fds) {
                                 if (!lines->feed(bytes, std::move(fds)))
                                     distrust();
                             },
                             [this](const std::string&) { distrust(); }});
        send_keyboard();
        send_notice();
        follow_display();
    }

    /// It does not talk as it should: a new one does, as soon as it is gone.
    void distrust() {
        link.reset();
        if (process)
            send_signal(*process, SIGKILL);
    }

    bool tell(const json::object& message, UniqueFd fd = {}) {
        if (!link)
            return false;
        std::vector<UniqueFd> fds;
        if (fd)
            fds.push_back(std::move(fd));
        link->send(json::serialize(message) + "\n", std::move(fds));
        return true;
    }

    void on_message(const json::object& message) {
        if (const json::object* now = member(message, "status"))
            return on_status(*now);
        if (const std::string who = text(message, "refused"); !who.empty())
            return observer.refused(who);
        UniqueFd file = flag(message, "file") ? lines->take_fd() : UniqueFd();
        const auto found = waiting_answers.find(number<std::uint64_t>(message, "answer"));
        if (found == waiting_answers.end())
            return;
        const auto waiting = std::move(found->second);
        waiting_answers.erase(found);
        waiting.done({}, message, std::move(file));
    }

    void on_status(const json::object& now) {
        status.connected = flag(now, "connected");
        status.width = number<int>(now, "width");
        status.height = number<int>(now, "height");
        status.leds = number<unsigned>(now, "leds");
        status.viewers.clear();
        for (const json::value& value : list(now, "viewers"))
            if (const auto* viewer = value.if_object())
                status.viewers.push_back({text(*viewer, "who"), text(*viewer, "session"),
                                          flag(*viewer, "may_write"), flag(*viewer, "writer")});
        follow_display();
        observer.changed();
    }

    // -- the host's display

    void follow_host(bool on, const std::string& state, const std::string& event) {
        host_on = on;
        notice = {
            {"do", "notice"}, {"name", host}, {"state", state}, {"event", event}, {"off", !on}};
        send_notice();
        follow_display();
    }

    void send_notice() {
        if (!notice.empty())
            tell(notice);
    }

    /// QEMU's socket may come a little later than QEMU, and lom-kvm tells when it lost it.
    void follow_display() {
        if (!host_on || status.connected) {
            display_timer.reset();
            return;
        }
        if (!link || display_timer)
            return;
        auto socket = connect_unix(paths.display);
        if (socket)
            tell({{"do", "display"}}, std::move(*socket));
        // Given: it says that it is connected within moments, unless QEMU hangs.
        display_timer = loop.after(socket ? answer_limit : display_pause, [this] {
            display_timer.reset();
            follow_display();
        });
    }

    // -- questions

    using Answer = std::function<void(Result<void>, const json::object&, UniqueFd file)>;
    struct Waiting {
        Answer done;
        Loop::Handle limit;
    };

    void ask(json::object question, Answer done) {
        const std::uint64_t id = next_question++;
        question["id"] = id;
        if (!tell(question))
            return done(absent, {}, {});
        waiting_answers[id] = {
            std::move(done), loop.after(answer_limit, [this, id] {
                const auto late = std::move(waiting_answers[id].done);
                waiting_answers.erase(id);
                late(Fault{FaultKind::unavailable, "The screen's server does not answer."}, {}, {});
            })};
    }

    void send_keyboard() {
        json::array keys;
        for (const auto& [character, key] : layout)
            keys.push_back({{"character", static_cast<std::uint32_t>(character)},
                            {"code", key.code},
                            {"shift", key.shift},
                            {"alt_graph", key.alt_graph}});
        tell({{"do", "keyboard"}, {"clipboard", clipboard}, {"layout", std::move(keys)}});
    }

    Loop& loop;
    ScreenPaths paths;
    std::string host;
    Observer observer;
    ScreenStatus status;
    bool host_on = false;
    json::object notice;
    Layout layout;
    bool clipboard = false;
    std::optional<ProcessId> process;
    Clock::time_point started;
    std::optional<JsonLines> lines;
    std::unique_ptr<Stream> link;
    std::map<std::uint64_t, Waiting> waiting_answers;
    std::uint64_t next_question = 1;
    Loop::Handle exit_watch;
    Loop::Handle restart;
    Loop::Handle display_timer;
};

Screen::Screen(Loop& loop, ScreenPaths paths, std::string host, Observer observer)
    : impl_(std::make_unique<Impl>(loop, std::move(paths), std::move(host), std::move(observer))) {}
Screen::~Screen() = default;

void Screen::open() { impl_->open(); }

void Screen::end() { impl_->end(); }

const ScreenStatus& Screen::status() const { return impl_->status; }

void Screen::follow_host(bool on, const std::string& state, const std::string& event) {
    impl_->follow_host(on, state, event);
}

void Screen::keep_last(std::chrono::system_clock::time_point at) {
    const auto since_1970 = at.time_since_epoch();
    impl_->tell(
        {{"do", "keep"},
         {"at", std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count()}});
}

Result<UniqueFd> Screen::connect_viewer(const ViewerRequest& request) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd ours(ends[0]);
    if (const auto taken = take_viewer(UniqueFd(ends[1]), request); !taken)
        return taken.fault();
    return ours;
}

Result<void> Screen::take_viewer(UniqueFd socket, const ViewerRequest& request) {
    if (!impl_->tell({{"do", "viewer"},
                      {"who", request.who},
                      {"session", request.session},
                      {"may_write", request.may_write},
                      {"force", request.force},
                      {"password", request.password}},
                     std::move(socket)))
        return absent;
    return {};
}

void Screen::drop_session(const std::string& session) {
    impl_->tell({{"do", "drop"}, {"session", session}});
}

void Screen::demote_session(const std::string& session) {
    impl_->tell({{"do", "demote"}, {"session", session}});
}

void Screen::give_seat(const std::string& session) {
    impl_->tell({{"do", "seat"}, {"session", session}});
}

void Screen::drop_viewers() { impl_->tell({{"do", "drop_all"}}); }

void Screen::read_text(bool last, Done<ScreenText> done) {
    impl_->ask({{"do", "read"}, {"what", "text"}, {"last", last}},
               [done](const Result<void>& came, const json::object& answer, const UniqueFd&) {
                   if (!came)
                       return done(came.fault());
                   if (const std::string fault = text(answer, "fault"); !fault.empty())
                       return done(Fault{FaultKind::wrong_state, fault});
                   done(ScreenText{flag(answer, "live"), number<int>(answer, "width"),
                                   number<int>(answer, "height"), number<int>(answer, "columns"),
                                   number<int>(answer, "rows"), text(answer, "text")});
               });
}

void Screen::read_png(bool last, Done<UniqueFd> done) {
    impl_->ask(
        {{"do", "read"}, {"what", "png"}, {"last", last}},
        [done](const Result<void>& came, const json::object& answer, UniqueFd file) {
            if (!came)
                return done(came.fault());
            if (const std::string fault = text(answer, "fault"); !fault.empty())
                return done(Fault{FaultKind::wrong_state, fault});
            if (!is_sealed_file(file.get()))
                return done(Fault{FaultKind::internal, "The screen's server sent no picture."});
            done(std::move(file));
        });
}

void Screen::use_keyboard(Layout layout, bool clipboard) {
    impl_->layout = std::move(layout);
    impl_->clipboard = clipboard;
    impl_->send_keyboard();
}

Result<void> Screen::press(const std::vector<Stroke>& strokes) {
    json::array list;
    for (const Stroke& stroke : strokes)
        list.push_back({{"keysym", stroke.keysym}, {"code", stroke.code}, {"down", stroke.down}});
    if (!impl_->status.connected)
        return Fault{FaultKind::wrong_state, "The host is off: nobody takes keys."};
    return impl_->tell({{"do", "press"}, {"strokes", std::move(list)}}) ? Result<void>()
                                                                        : Result<void>(absent);
}

Result<void> Screen::type(const std::string& words) {
    if (!impl_->status.connected)
        return Fault{FaultKind::wrong_state, "The host is off: nobody takes keys."};
    return impl_->tell({{"do", "type"}, {"text", words}}) ? Result<void>() : Result<void>(absent);
}

} // namespace lom::kvms
