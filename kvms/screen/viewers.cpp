#include "kvms/screen/viewers.h"

#include "base/stream.h"
#include "kvms/screen/rfb.h"

// libvncserver's header needs its macros before anything of ours.
#include <rfb/rfb.h>
extern "C" {
#include <rfb/rfbregion.h>
}

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <set>

namespace lom::kvms {

using namespace std::chrono_literals;

namespace {

constexpr auto handshake_limit = 30s;
// Guessing is slow: that many at a time, and each wrong answer holds its place for a while.
constexpr std::size_t most_guessing = 8;
constexpr auto wrong_password_pause = 3s;
constexpr std::size_t most_held_keys = 64;
constexpr std::size_t queue_limit = 160U << 20U; // far above any single update
constexpr std::string_view handshake = "RFB 003.008\n\1\1";
constexpr std::size_t handshake_answers = 12 + 2 + 4; // version, security types, result

struct ScreenDeleter {
    void operator()(rfbScreenInfoPtr screen) const { rfbScreenCleanup(screen); }
};

} // namespace

struct Viewers::Impl {
    struct Viewer {
        ViewerInfo info;
        std::unique_ptr<Stream> stream;
        std::unique_ptr<ViewerProtocol> protocol;
        rfbClientPtr client = nullptr;
        Loop::Handle limit;    ///< of the handshake
        bool guessing = false; ///< has a password to give
        ViewerAbilities abilities;
        bool told_extended_keys = false;
        int told_leds = -1;
        bool over = false;
    };
    using ViewerPtr = std::shared_ptr<Viewer>;

    Impl(Loop& loop_in, Frame& frame_in, std::string title_in, Handlers handlers_in)
        : loop(loop_in), frame(frame_in), title(std::move(title_in)),
          handlers(std::move(handlers_in)), sink(memfd_create("lom-kvm", MFD_CLOEXEC)) {
        rfbLogEnable(0);
        screen.reset(rfbGetScreen(nullptr, nullptr, frame.width, frame.height, 8, 3, 4));
        screen->desktopName = title.c_str();
        screen->alwaysShared = TRUE;
        screen->deferUpdateTime = 0;
        screen->cursor = nullptr;
        screen->frameBuffer = frame_bytes();
        use_own_format();
    }

    ~Impl() {
        for (const ViewerPtr& viewer : viewers)
            forget_client(*viewer);
        rfbSetCursor(screen.get(), nullptr);
        screen->frameBuffer = nullptr;
    }

    /// Frame's, which is what most viewers ask for: nothing is to be translated then.
    void use_own_format() {
        rfbPixelFormat& format = screen->serverFormat;
        format.redShift = 16;
        format.greenShift = 8;
        format.blueShift = 0;
        for (const ViewerPtr& viewer : viewers)
            if (viewer->client != nullptr)
                screen->setTranslateFunction(viewer->client);
    }

    char* frame_bytes() { return reinterpret_cast<char*>(frame.pixels.data()); }

    // -- calls of libvncserver

    /// Calls it with a socket of its own that holds `input`, and gives what it wrote. It may close
    /// that socket (a client that it refuses).
    template <typename Call>
    std::string with_socket(Viewer& viewer, std::string_view input, Call&& call) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
            viewer.over = true;
            return {};
        }
        const UniqueFd ours(ends[0]);
        if (::send(ours.get(), input.data(), input.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(input.size()))
            viewer.over = true;
        call(ends[1]);
        if (viewer.client == nullptr || viewer.client->sock != ends[1]) {
            viewer.over = true;
            return {};
        }
        std::string output(4096, '\0');
        const ssize_t count = recv(ours.get(), output.data(), output.size(), MSG_DONTWAIT);
        output.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        FD_CLR(ends[1], &screen->allFds);
        close(ends[1]);
        viewer.client->sock = sink.get(); // counts as connected
        return output;
    }

    void begin(Viewer& viewer) {
        viewer.limit.reset();
        viewer.guessing = false;
        const std::string output = with_socket(viewer, handshake, [&](int socket) {
            viewer.client = rfbNewClient(screen.get(), socket);
            for (int step = 0; step < 3 && viewer.client != nullptr; ++step)
                rfbProcessClientMessage(viewer.client);
        });
        if (viewer.over || output.size() <= handshake_answers)
            return end_later(viewer);
        viewer.stream->send(output.substr(handshake_answers)); // the rest is ServerInit
        take_seat(viewer, false);
        handlers.changed();
    }

    void forward(Viewer& viewer, std::string_view message) {
        const std::string output = with_socket(
            viewer, message, [&](int socket) { process_message(*viewer.client, socket); });
        if (viewer.over)
            return end_later(viewer);
        if (!output.empty())
            viewer.stream->send(output);
        update(viewer);
    }

    static void process_message(rfbClientRec& client, int socket) {
        client.sock = socket;
        rfbProcessClientMessage(&client);
    }

    /// Sends what changed, if the viewer has asked and has taken all that was sent before.
    void update(Viewer& viewer) {
        while (viewer.client != nullptr && !viewer.over && viewer.stream->queued() == 0) {
            tell_extras(viewer);
            if (sraRgnEmpty(viewer.client->requestedRegion) != FALSE)
                return;
            const int socket = dup(sink.get()); // it closes it when it gives up
            viewer.client->sock = socket;
            const bool sent = rfbUpdateClient(viewer.client) != FALSE;
            const bool closed = viewer.client->sock != socket;
            if (!closed)
                close(socket);
            viewer.client->sock = sink.get();
            std::string bytes = take_sink();
            if (closed)
                return end_later(viewer);
            if (!sent || bytes.empty())
                return;
            viewer.stream->send(std::move(bytes));
        }
    }

    std::string take_sink() {
        const off_t size = lseek(sink.get(), 0, SEEK_CUR);
        std::string bytes(static_cast<std::size_t>(std::max<off_t>(size, 0)), '\0');
        std::size_t filled = 0;
        while (filled < bytes.size()) {
            const ssize_t count = pread(sink.get(), bytes.data() + filled, bytes.size() - filled,
                                        static_cast<off_t>(filled));
            if (count <= 0)
                break;
            filled += static_cast<std::size_t>(count);
        }
        constexpr off_t kept = 1 << 20; // giving pages back and forth costs more than they are
        if (size > kept && ftruncate(sink.get(), kept) < 0)
            bytes.clear();
        lseek(sink.get(), 0, SEEK_SET);
        return bytes;
    }

    void forget_client(Viewer& viewer) {
        if (viewer.client == nullptr)
            return;
        viewer.client->sock = RFB_INVALID_SOCKET; // the sink is not its own
        rfbClientConnectionGone(std::exchange(viewer.client, nullptr));
    }

    // -- what libvncserver does not know

    static std::string pseudo_rect(rfb::Encoding encoding, unsigned side) {
        std::string out;
        rfb::put8(out, rfb::framebuffer_update);
        rfb::put8(out, 0);
        rfb::put16(out, 1);
        rfb::put32(out, 0);
        rfb::put16(out, side);
        rfb::put16(out, side);
        rfb::put32(out, static_cast<std::uint32_t>(encoding));
        return out;
    }

    void tell_extras(Viewer& viewer) {
        if (viewer.abilities.extended_keys && !std::exchange(viewer.told_extended_keys, true))
            viewer.stream->send(pseudo_rect(rfb::qemu_extended_key, 0));
        if (viewer.abilities.leds && leds >= 0 && std::exchange(viewer.told_leds, leds) != leds) {
            std::string message = pseudo_rect(rfb::qemu_led_state, 1);
            rfb::put8(message, static_cast<unsigned>(leds));
            viewer.stream->send(std::move(message));
        }
    }

    // -- viewers

    void add(UniqueFd socket, ViewerInfo info, bool force, const std::string& password) {
        const auto guessing = std::count_if(viewers.begin(), viewers.end(),
                                            [](const ViewerPtr& v) { return v->guessing; });
        if (viewers.size() >= Viewers::most ||
            (!password.empty() && static_cast<std::size_t>(guessing) >= most_guessing))
            return;
        const auto viewer = std::make_shared<Viewer>();
        viewer->info = std::move(info);
        viewer->info.id = next_id++;
        viewer->guessing = !password.empty();
        viewers.push_back(viewer);
        const std::weak_ptr weak(viewer);
        viewer->protocol =
            std::make_unique<ViewerProtocol>(protocol_handlers(*viewer), challenge(password));
        viewer->stream = std::make_unique<Stream>(
            loop, std::move(socket),
            Stream::Handlers{[this, weak](std::string_view bytes, const std::vector<UniqueFd>&) {
                                 if (const auto self = weak.lock())
                                     on_data(*self, bytes);
                             },
                             [this, weak](const std::string&) {
                                 if (const auto self = weak.lock())
                                     end(self);
                             },
                             [this, weak] {
                                 if (const auto self = weak.lock())
                                     update(*self);
                             }},
            queue_limit);
        viewer->limit = loop.after(handshake_limit, [this, weak] {
            if (const auto self = weak.lock())
                end(self);
        });
        if (force)
            take_seat(*viewer, true);
        viewer->protocol->start();
    }

    static std::optional<ViewerProtocol::Password> challenge(const std::string& password) {
        if (password.empty())
            return std::nullopt;
        ViewerProtocol::Password asked;
        if (getrandom(asked.challenge.data(), asked.challenge.size(), 0) !=
            static_cast<ssize_t>(asked.challenge.size()))
            asked.check = [](const auto&, std::string_view) { return false; };
        else
            asked.check = [password](ViewerProtocol::Challenge expected, std::string_view answer) {
                std::string key = password;
                rfbEncryptBytes(reinterpret_cast<unsigned char*>(expected.data()), key.data());
                unsigned difference = 0;
                for (std::size_t i = 0; i < expected.size(); ++i)
                    difference |= static_cast<unsigned>(expected[i] ^ answer[i]);
                return difference == 0;
            };
        return asked;
    }

    ViewerProtocol::Handlers protocol_handlers(Viewer& viewer) {
        return {.send = [&viewer](std::string bytes) { viewer.stream->send(std::move(bytes)); },
                .begin = [this, &viewer] { begin(viewer); },
                .forward = [this, &viewer](std::string_view message) { forward(viewer, message); },
                .abilities =
                    [this, &viewer](ViewerAbilities abilities) {
                        viewer.abilities = abilities;
                        update(viewer);
                    },
                .key =
                    [this, &viewer](std::uint32_t keysym, std::uint32_t code, bool down) {
                        if (viewer.info.writer)
                            key(keysym, code, down);
                    },
                .pointer =
                    [this, &viewer](unsigned buttons, int x, int y) {
                        if (viewer.info.writer)
                            pointer(viewer, buttons, x, y);
                    },
                .text =
                    [this, &viewer](std::string text) {
                        if (viewer.info.writer)
                            handlers.text(std::move(text));
                    }};
    }

    void on_data(Viewer& viewer, std::string_view bytes) {
        if (viewer.over)
            return;
        const auto fine = viewer.protocol->feed(bytes);
        if (fine)
            return;
        if (fine.fault().kind != FaultKind::denied)
            return end_later(viewer);
        viewer.over = true;
        handlers.refused(viewer.info.who);
        viewer.limit = loop.after(wrong_password_pause, [this, &viewer] { end_later(viewer); });
    }

    /// From inside a call of the viewer's own.
    void end_later(Viewer& viewer) {
        viewer.over = true;
        for (const ViewerPtr& candidate : viewers)
            if (candidate.get() == &viewer)
                loop.post([this, alive = std::weak_ptr(life), weak = std::weak_ptr(candidate)] {
                    const auto self = weak.lock();
                    if (self && alive.lock())
                        end(self);
                });
    }

    void end(const ViewerPtr& viewer) {
        if (viewers.remove(viewer) == 0)
            return;
        forget_client(*viewer);
        viewer->limit.reset();
        viewer->stream.reset();
        if (viewer->info.writer)
            release_seat();
        handlers.changed();
    }

    void end_if(const std::function<bool(const Viewer&)>& chosen) {
        std::vector<ViewerPtr> ending;
        for (const ViewerPtr& viewer : viewers)
            if (chosen(*viewer))
                ending.push_back(viewer);
        for (const ViewerPtr& viewer : ending)
            end(viewer);
    }

    // -- the seat of the writer

    ViewerPtr writer() const {
        const auto found = std::find_if(viewers.begin(), viewers.end(),
                                        [](const ViewerPtr& v) { return v->info.writer; });
        return found == viewers.end() ? nullptr : *found;
    }

    void take_seat(Viewer& viewer, bool force) {
        const ViewerPtr holder = writer();
        if (!viewer.info.may_write || (holder && !force))
            return;
        if (holder)
            holder->info.writer = false;
        release_keys();
        viewer.info.writer = true;
    }

    /// The seat goes to whoever has waited longest.
    void release_seat() {
        release_keys();
        for (const ViewerPtr& viewer : viewers)
            if (!writer() && viewer->client != nullptr)
                take_seat(*viewer, false);
    }

    void key(std::uint32_t keysym, std::uint32_t code, bool down) {
        if (down && held.size() < most_held_keys)
            held.insert({keysym, code});
        if (!down)
            held.erase({keysym, code});
        handlers.key(keysym, code, down);
    }

    void pointer(const Viewer& viewer, unsigned buttons, int x, int y) {
        if (screen->cursor != nullptr) // who cannot draw its shape gets it painted there
            rfbDefaultPtrAddEvent(static_cast<int>(buttons), x, y, viewer.client);
        handlers.pointer(buttons, x, y);
    }

    void release_keys() {
        for (const auto& [keysym, code] : std::exchange(held, {}))
            handlers.key(keysym, code, false);
    }

    Loop& loop;
    Frame& frame;
    std::string title;
    Handlers handlers;
    UniqueFd sink;
    std::unique_ptr<rfbScreenInfo, ScreenDeleter> screen;
    std::list<ViewerPtr> viewers;
    std::set<std::pair<std::uint32_t, std::uint32_t>> held;
    std::uint64_t next_id = 1;
    int leds = -1;
    std::shared_ptr<bool> life = std::make_shared<bool>(true);
};

Viewers::Viewers(Loop& loop, Frame& frame, std::string title, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, frame, std::move(title), std::move(handlers))) {}
Viewers::~Viewers() = default;

void Viewers::add(UniqueFd socket, ViewerInfo info, bool force, const std::string& password) {
    impl_->add(std::move(socket), std::move(info), force, password);
}

void Viewers::drop_session(const std::string& session) {
    impl_->end_if([&](const Impl::Viewer& viewer) { return viewer.info.session == session; });
}

void Viewers::demote_session(const std::string& session) {
    for (const auto& viewer : impl_->viewers)
        if (viewer->info.session == session) {
            viewer->info.may_write = false;
            if (std::exchange(viewer->info.writer, false))
                impl_->release_seat();
        }
    impl_->handlers.changed();
}

void Viewers::give_seat(const std::string& session) {
    for (const auto& viewer : impl_->viewers)
        if (viewer->info.session == session && viewer->info.may_write &&
            viewer->client != nullptr) {
            impl_->take_seat(*viewer, true);
            return impl_->handlers.changed();
        }
}

void Viewers::drop_all() {
    impl_->end_if([](const Impl::Viewer&) { return true; });
}

std::vector<ViewerInfo> Viewers::list() const {
    std::vector<ViewerInfo> all;
    for (const auto& viewer : impl_->viewers)
        if (viewer->client != nullptr)
            all.push_back(viewer->info);
    return all;
}

bool Viewers::empty() const { return impl_->viewers.empty(); }

void Viewers::frame_resized() {
    Frame& frame = impl_->frame;
    rfbNewFramebuffer(impl_->screen.get(), impl_->frame_bytes(), frame.width, frame.height, 8, 3,
                      4);
    impl_->use_own_format();
    for (const auto& viewer : impl_->viewers)
        impl_->update(*viewer);
}

void Viewers::frame_changed(const std::vector<Rect>& changed) {
    sraRegionPtr region = sraRgnCreate();
    for (const Rect& rect : changed) {
        sraRegionPtr part =
            sraRgnCreateRect(rect.x, rect.y, rect.x + rect.width, rect.y + rect.height);
        sraRgnOr(region, part);
        sraRgnDestroy(part);
    }
    rfbMarkRegionAsModified(impl_->screen.get(), region);
    sraRgnDestroy(region);
    for (const auto& viewer : impl_->viewers)
        impl_->update(*viewer);
}

void Viewers::set_cursor(Cursor cursor) {
    const std::size_t pixels = cursor.pixels.size() * sizeof(cursor.pixels[0]);
    if (cursor.width == 0 || pixels == 0)
        return rfbSetCursor(impl_->screen.get(), nullptr);
    auto* shape = static_cast<rfbCursorPtr>(calloc(1, sizeof(rfbCursor)));
    shape->cleanup = TRUE;
    shape->cleanupMask = TRUE;
    shape->cleanupRichSource = TRUE;
    shape->width = static_cast<unsigned short>(cursor.width);
    shape->height = static_cast<unsigned short>(cursor.height);
    shape->xhot = static_cast<unsigned short>(cursor.hot_x);
    shape->yhot = static_cast<unsigned short>(cursor.hot_y);
    shape->richSource = static_cast<unsigned char*>(malloc(pixels));
    shape->mask = static_cast<unsigned char*>(malloc(cursor.mask.size()));
    std::copy_n(reinterpret_cast<const unsigned char*>(cursor.pixels.data()), pixels,
                shape->richSource);
    std::copy(cursor.mask.begin(), cursor.mask.end(), shape->mask);
    rfbSetCursor(impl_->screen.get(), shape);
    for (const auto& viewer : impl_->viewers)
        impl_->update(*viewer);
}

void Viewers::set_leds(int leds) {
    impl_->leds = leds;
    for (const auto& viewer : impl_->viewers)
        impl_->update(*viewer);
}

} // namespace lom::kvms
