#include "kvms/screen/screen_process.h"

#include "base/json_fields.h"
#include "base/stream.h"
#include "kvms/screen/display.h"
#include "kvms/screen/json_lines.h"
#include "kvms/screen/past.h"
#include "kvms/screen/picture.h"
#include "kvms/screen/png.h"
#include "kvms/screen/text_reader.h"
#include "kvms/screen/typist.h"
#include "kvms/screen/viewers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace json = boost::json;

namespace lom::kvms {

using namespace std::chrono_literals;
using Clock = Past::Clock;

namespace {

using namespace fields;

// A reset takes the old QEMU away and brings a new one: viewers go on seeing the picture meanwhile.
constexpr auto notice_after = 1500ms;
constexpr auto pace_without_viewers = 250ms;
constexpr std::size_t most_queued_input = 64U << 10U;

/// Sealed: whoever gets it may read it without fear that it changes.
Result<UniqueFd> memory_file(const std::string& content) {
    UniqueFd fd(memfd_create("screen", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const auto size = static_cast<ssize_t>(content.size());
    if (!fd || pwrite(fd.get(), content.data(), content.size(), 0) != size ||
        fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return Fault{FaultKind::internal, "The picture is too large."};
    return fd;
}

} // namespace

struct ScreenProcess::Impl {
    Impl(Loop& loop_in, UniqueFd listener_in, std::string host, Fonts fonts_in)
        : loop(loop_in), listener(std::move(listener_in)), fonts(std::move(fonts_in)),
          typist(loop,
                 [this](const Stroke& stroke) { press(stroke.keysym, stroke.code, stroke.down); }) {
        notice.name = std::move(host);
        draw_notice(frame, fonts.first(), notice);
        viewers.emplace(loop, frame, notice.name,
                        Viewers::Handlers{.key = [this](std::uint32_t keysym, std::uint32_t code,
                                                        bool down) { press(keysym, code, down); },
                                          .pointer = [this](unsigned buttons, int x,
                                                            int y) { point(buttons, x, y); },
                                          .text =
                                              [this](const std::string& text) {
                                                  if (clipboard)
                                                      typist.type(text);
                                              },
                                          .changed = [this] { on_viewers_changed(); },
                                          .refused =
                                              [this](const std::string& who) {
                                                  tell({{"refused", who}});
                                              }});
        accept_watch = loop.watch(listener.get(), Loop::Wait::readable, [this] { accept(); });
    }

    // -- lomd

    void accept() {
        UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd)
            return;
        lines.emplace([this](const json::object& message) { obey(message); });
        lomd = std::make_unique<Stream>( // the latest one: its predecessor is gone
            loop, std::move(fd),
            Stream::Handlers{[this](std::string_view bytes, std::vector<UniqueFd> fds) {
                                 if (!lines->feed(bytes, std::move(fds)))
                                     lomd.reset();
                             },
                             [this](const std::string&) { lomd.reset(); }});
        report();
    }

    void obey(const json::object& message) {
        using Command = void (Impl::*)(const json::object&);
        static constexpr std::pair<std::string_view, Command> commands[] = {
            {"display", &Impl::take_display},   {"notice", &Impl::take_notice},
            {"viewer", &Impl::take_viewer},     {"drop", &Impl::drop},
            {"demote", &Impl::demote},          {"drop_all", &Impl::drop_all},
            {"keep", &Impl::take_keep},         {"read", &Impl::read},
            {"press", &Impl::take_press},       {"type", &Impl::take_type},
            {"keyboard", &Impl::take_keyboard}, {"seat", &Impl::give_seat}};
        const std::string wanted = text(message, "do");
        for (const auto& [name, command] : commands)
            if (name == wanted)
                (this->*command)(message);
    }

    void tell(const json::object& message, UniqueFd fd = {}) {
        if (!lomd)
            return;
        std::vector<UniqueFd> fds;
        if (fd)
            fds.push_back(std::move(fd));
        lomd->send(json::serialize(message) + "\n", std::move(fds));
    }

    void report() {
        json::array list;
        for (const ViewerInfo& viewer : viewers->list())
            list.push_back({{"who", viewer.who},
                            {"session", viewer.session},
                            {"may_write", viewer.may_write},
                            {"writer", viewer.writer}});
        tell({{"status",
               {{"connected", live},
                {"width", frame.width},
                {"height", frame.height},
                {"leds", live ? leds : 0},
                {"viewers", std::move(list)}}}});
    }

    // -- the host's display

    void take_display(const json::object&) {
        UniqueFd fd = lines->take_fd();
        if (!fd)
            return;
        forget_display();
        display.emplace(frame, Display::Handlers{
                                   .send =
                                       [this](std::string bytes) {
                                           if (link)
                                               link->send(std::move(bytes));
                                       },
                                   .changing = [this] { on_changing(); },
                                   .resized = [this] { on_resized(); },
                                   .updated = [this](const auto& changed) { on_updated(changed); },
                                   .cursor = [this](const Cursor& c) { viewers->set_cursor(c); },
                                   .leds =
                                       [this](int now) {
                                           viewers->set_leds(now);
                                           leds = now;
                                           report();
                                       }});
        link = std::make_unique<Stream>(
            loop, std::move(fd),
            Stream::Handlers{[this](std::string_view bytes, const std::vector<UniqueFd>&) {
                                 if (!display->feed(bytes))
                                     lose_display();
                             },
                             [this](const std::string&) { lose_display(); }});
    }

    void on_resized() {
        if (!std::exchange(live, true))
            live_since = Clock::now();
        notice_timer.reset();
        viewers->frame_resized();
        report();
    }

    void on_updated(const std::vector<Rect>& changed) {
        if (!changed.empty()) {
            whole_since = Clock::now();
            ++drawings;
            viewers->frame_changed(changed);
        }
        request_again();
    }

    /// What QEMU sends is on its way as soon as somebody looks; without viewers it is enough to
    /// know the last picture.
    void request_again() {
        pace.reset();
        if (!viewers->empty())
            return display->request();
        pace = loop.after(pace_without_viewers, [this] {
            pace.reset();
            if (live)
                display->request();
        });
    }

    void lose_display() {
        if (live)
            keep(Clock::now());
        forget_display();
        viewers->set_cursor({});
        typist.forget();
        report();
        notice_timer = loop.after(notice_after, [this] { show_notice(); });
    }

    void forget_display() {
        live = false;
        leds = 0;
        drawings = 0;
        whole_since.reset();
        past.forget();
        forget_timer.reset();
        pace.reset();
        link.reset();
        display.reset();
    }

    void show_notice() {
        notice_timer.reset();
        if (live)
            return;
        draw_notice(frame, fonts.first(), notice);
        viewers->frame_resized();
        report();
    }

    void take_notice(const json::object& message) {
        const HostNotice fresh{text(message, "name"), text(message, "state"),
                               text(message, "event")};
        if (fresh == std::exchange(notice, fresh))
            return;
        if (!live && (!notice_timer || flag(message, "off")))
            show_notice();
    }

    // -- the last picture

    void on_changing() {
        if (!whole_since)
            return;
        past.changing(frame, *std::exchange(whole_since, std::nullopt), Clock::now());
        forget_timer = loop.after(Past::reach, [this] {
            if (whole_since)
                past.forget(); // whatever happened meanwhile, it happened to the picture at hand
        });
    }

    void take_keep(const json::object& message) {
        const Past::Time at{std::chrono::microseconds(number<std::int64_t>(message, "at"))};
        if (live && at > live_since)
            keep(at);
    }

    void keep(Past::Time at) {
        if (drawings < 2) // QEMU's own first picture says that the guest has drawn nothing
            return;
        if (whole_since)
            past.keep(frame, *std::exchange(whole_since, std::nullopt));
        if (const Frame* then = past.at(at))
            last = *then;
    }

    // -- viewers

    void take_viewer(const json::object& message) {
        UniqueFd fd = lines->take_fd();
        if (!fd)
            return;
        ViewerInfo info;
        info.who = text(message, "who");
        info.session = text(message, "session");
        info.may_write = flag(message, "may_write");
        viewers->add(std::move(fd), std::move(info), flag(message, "force"),
                     text(message, "password"));
    }

    void on_viewers_changed() {
        if (pace && live) // it paced itself for nobody
            request_again();
        report();
    }

    void drop(const json::object& message) { viewers->drop_session(text(message, "session")); }
    void demote(const json::object& message) { viewers->demote_session(text(message, "session")); }
    void drop_all(const json::object&) { viewers->drop_all(); }
    void give_seat(const json::object& message) { viewers->give_seat(text(message, "session")); }

    // -- the host's keyboard and mouse

    bool takes_input() const { return live && link && link->queued() < most_queued_input; }

    void press(std::uint32_t keysym, std::uint32_t code, bool down) {
        if (takes_input())
            display->key(keysym, code, down);
    }

    void point(unsigned buttons, int x, int y) {
        if (takes_input())
            display->pointer(buttons, x, y);
    }

    void take_press(const json::object& message) {
        std::vector<Stroke> strokes;
        for (const json::value& value : list(message, "strokes"))
            if (const auto* stroke = value.if_object())
                strokes.push_back({number<std::uint32_t>(*stroke, "keysym"),
                                   number<std::uint32_t>(*stroke, "code"), flag(*stroke, "down")});
        typist.press(strokes);
    }

    void take_type(const json::object& message) { typist.type(text(message, "text")); }

    void take_keyboard(const json::object& message) {
        clipboard = flag(message, "clipboard");
        Layout layout;
        for (const json::value& value : list(message, "layout"))
            if (const auto* key = value.if_object())
                layout[number<char32_t>(*key, "character")] = {number<std::uint32_t>(*key, "code"),
                                                               flag(*key, "shift"),
                                                               flag(*key, "alt_graph")};
        typist.use_layout(std::move(layout));
    }

    // -- reading the screen

    void read(const json::object& message) {
        const bool of_last = flag(message, "last");
        const Frame& picture = of_last ? last : frame;
        json::object answer{{"answer", number<std::uint64_t>(message, "id")},
                            {"live", live},
                            {"width", picture.width},
                            {"height", picture.height}};
        UniqueFd file;
        if (picture.pixels.empty()) {
            answer["fault"] = "No screen was kept yet.";
        } else if (text(message, "what") == "png") {
            const auto png = png_of(picture);
            auto fd = png ? memory_file(*png) : Result<UniqueFd>(png.fault());
            if (fd)
                file = std::move(*fd);
            else
                answer["fault"] = fd.fault().message;
            answer["file"] = static_cast<bool>(file);
        } else if (const auto words = read_text(picture, fonts.all())) {
            answer["text"] = words->text;
            answer["columns"] = words->columns;
            answer["rows"] = words->rows;
        }
        tell(answer, std::move(file));
    }

    Loop& loop;
    UniqueFd listener;
    Fonts fonts;
    Frame frame;
    Past past;                             ///< of the frame
    Frame last;                            ///< before the last reset, panic or power-off
    std::optional<Past::Time> whole_since; ///< none: being drawn, or a part of the past already
    Past::Time live_since;
    unsigned drawings = 0; ///< since then
    HostNotice notice;
    int leds = 0;           ///< of the host's keyboard, as RFB has them
    bool live = false;      ///< the frame is the host's
    bool clipboard = false; ///< the writer's is typed
    Typist typist;
    std::optional<Display> display;
    std::unique_ptr<Stream> link;
    std::optional<Viewers> viewers;
    std::optional<JsonLines> lines;
    std::unique_ptr<Stream> lomd;
    Loop::Handle accept_watch;
    Loop::Handle pace;
    Loop::Handle forget_timer;
    Loop::Handle notice_timer;
};

ScreenProcess::ScreenProcess(Loop& loop, UniqueFd listener, std::string host, Fonts fonts)
    : impl_(std::make_unique<Impl>(loop, std::move(listener), std::move(host), std::move(fonts))) {}
ScreenProcess::~ScreenProcess() = default;

} // namespace lom::kvms
