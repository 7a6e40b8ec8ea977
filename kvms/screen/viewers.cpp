#include "kvms/screen/viewers.h"

#include "base/stream.h"
#include "kvms/screen/picture_server.h"
#include "kvms/screen/rfb.h"
#include "kvms/screen/vnc_password.h"

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

} // namespace

struct Viewers::Impl {
    struct Viewer {
        ViewerInfo info;
        std::unique_ptr<Stream> stream;
        std::unique_ptr<ViewerProtocol> protocol;
        PictureServer::ClientPtr client; ///< none before the handshake is over
        Loop::Handle limit;              ///< of the handshake
        bool guessing = false;           ///< has a password to give
        ViewerAbilities abilities;
        bool told_extended_keys = false;
        int told_leds = -1;
        bool over = false;
    };
    using ViewerPtr = std::shared_ptr<Viewer>;

    Impl(Loop& loop_in, Frame& frame, std::string title, Handlers handlers_in)
        : loop(loop_in), handlers(std::move(handlers_in)), server(frame, std::move(title)) {}

    // -- pictures

    void begin(Viewer& viewer) {
        viewer.limit.reset();
        viewer.guessing = false;
        std::string init;
        viewer.client = server.begin(init);
        if (!viewer.client)
            return end_later(viewer);
        viewer.stream->send(std::move(init));
        take_seat(viewer, false);
        handlers.changed();
    }

    void forward(Viewer& viewer, std::string_view message) {
        auto answer = viewer.client ? server.take(*viewer.client, message) : std::nullopt;
        if (!answer)
            return end_later(viewer);
        if (!answer->empty())
            viewer.stream->send(std::move(*answer));
        update(viewer);
    }

    /// Sends what changed, if the viewer has asked and has taken all that was sent before.
    void update(Viewer& viewer) {
        while (viewer.client && !viewer.over && viewer.stream->queued() == 0) {
            tell_extras(viewer);
            auto bytes = server.update(*viewer.client);
            if (!bytes)
                return end_later(viewer);
            if (bytes->empty())
                return;
            viewer.stream->send(std::move(*bytes));
        }
    }

    void update_all() {
        for (const ViewerPtr& viewer : viewers)
            update(*viewer);
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
        viewer->protocol = std::make_unique<ViewerProtocol>(
            protocol_handlers(*viewer),
            password.empty() ? std::nullopt : std::optional(ask_for(password)));
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
        viewer->client.reset();
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
            if (!writer() && viewer->client)
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
        server.point(*viewer.client, buttons, x, y);
        handlers.pointer(buttons, x, y);
    }

    void release_keys() {
        for (const auto& [keysym, code] : std::exchange(held, {}))
            handlers.key(keysym, code, false);
    }

    Loop& loop;
    Handlers handlers;
    PictureServer server;
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
        if (viewer->info.session == session && viewer->info.may_write && viewer->client) {
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
        if (viewer->client)
            all.push_back(viewer->info);
    return all;
}

bool Viewers::empty() const { return impl_->viewers.empty(); }

void Viewers::frame_resized() {
    impl_->server.frame_resized();
    impl_->update_all();
}

void Viewers::frame_changed(const std::vector<Rect>& changed) {
    impl_->server.frame_changed(changed);
    impl_->update_all();
}

void Viewers::set_cursor(const Cursor& cursor) {
    impl_->server.set_cursor(cursor);
    impl_->update_all();
}

void Viewers::set_leds(int leds) {
    impl_->leds = leds;
    impl_->update_all();
}

} // namespace lom::kvms
