#include "kvms/screen/picture_server.h"

// libvncserver's header needs its macros before anything of ours.
#include <rfb/rfb.h>
extern "C" {
#include <rfb/rfbregion.h>
}

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace lom::kvms {

namespace {

constexpr std::string_view handshake = "RFB 003.008\n\1\1";
constexpr std::size_t handshake_answers = 12 + 2 + 4; // version, security types, result

struct ScreenDeleter {
    void operator()(rfbScreenInfoPtr screen) const { rfbScreenCleanup(screen); }
};

template <typename T>
T* copy_for_library(const std::vector<T>& values) {
    auto* copy = static_cast<T*>(malloc(values.size() * sizeof(T)));
    std::copy(values.begin(), values.end(), copy);
    return copy;
}

} // namespace

class PictureServer::Client {
  public:
    rfbClientPtr rfb = nullptr;
};

void PictureServer::ClientDeleter::operator()(Client* client) const {
    if (client->rfb != nullptr) {
        client->rfb->sock = RFB_INVALID_SOCKET; // the sink is not its own
        rfbClientConnectionGone(client->rfb);
    }
    delete client;
}

struct PictureServer::Impl {
    Impl(Frame& frame_in, std::string title_in)
        : frame(frame_in), title(std::move(title_in)), sink(memfd_create("lom-kvm", MFD_CLOEXEC)) {
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
        rfbSetCursor(screen.get(), nullptr);
        screen->frameBuffer = nullptr;
    }

    /// Frame's, which is what most viewers ask for: nothing is to be translated then.
    void use_own_format() {
        rfbPixelFormat& format = screen->serverFormat;
        format.redShift = 16;
        format.greenShift = 8;
        format.blueShift = 0;
        rfbClientIteratorPtr clients = rfbGetClientIterator(screen.get());
        while (rfbClientPtr client = rfbClientIteratorNext(clients))
            screen->setTranslateFunction(client);
        rfbReleaseClientIterator(clients);
    }

    char* frame_bytes() { return reinterpret_cast<char*>(frame.pixels.data()); }

    /// Calls it with a socket of its own that holds `input`, and gives what it wrote. It may close
    /// that socket (a client that it refuses).
    template <typename Call>
    std::optional<std::string> with_socket(Client& client, std::string_view input, Call&& call) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
            return std::nullopt;
        const UniqueFd ours(ends[0]);
        const bool whole = ::send(ours.get(), input.data(), input.size(), MSG_NOSIGNAL) ==
                           static_cast<ssize_t>(input.size());
        call(ends[1]);
        if (client.rfb == nullptr || client.rfb->sock != ends[1])
            return std::nullopt;
        std::string output(4096, '\0');
        const ssize_t count = recv(ours.get(), output.data(), output.size(), MSG_DONTWAIT);
        output.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        FD_CLR(ends[1], &screen->allFds);
        close(ends[1]);
        client.rfb->sock = sink.get(); // counts as connected
        return whole ? std::optional(std::move(output)) : std::nullopt;
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

    Frame& frame;
    std::string title;
    UniqueFd sink;
    std::unique_ptr<rfbScreenInfo, ScreenDeleter> screen;
};

PictureServer::PictureServer(Frame& frame, std::string title)
    : impl_(std::make_unique<Impl>(frame, std::move(title))) {}
PictureServer::~PictureServer() = default;

PictureServer::ClientPtr PictureServer::begin(std::string& init) {
    ClientPtr client(new Client());
    const auto output = impl_->with_socket(*client, handshake, [&](int socket) {
        client->rfb = rfbNewClient(impl_->screen.get(), socket);
        for (int step = 0; step < 3 && client->rfb != nullptr; ++step)
            rfbProcessClientMessage(client->rfb);
    });
    if (!output || output->size() <= handshake_answers)
        return nullptr;
    init = output->substr(handshake_answers);
    return client;
}

std::optional<std::string> PictureServer::take(Client& client, std::string_view message) {
    return impl_->with_socket(client, message, [&client](int socket) {
        client.rfb->sock = socket;
        rfbProcessClientMessage(client.rfb);
    });
}

std::optional<std::string> PictureServer::update(Client& client) {
    if (sraRgnEmpty(client.rfb->requestedRegion) != FALSE)
        return std::string();
    const int socket = dup(impl_->sink.get()); // it closes it when it gives up
    client.rfb->sock = socket;
    const bool sent = rfbUpdateClient(client.rfb) != FALSE;
    const bool closed = client.rfb->sock != socket;
    if (!closed)
        close(socket);
    client.rfb->sock = impl_->sink.get();
    std::string bytes = impl_->take_sink();
    if (closed)
        return std::nullopt;
    return sent ? std::move(bytes) : std::string();
}

void PictureServer::point(Client& client, unsigned buttons, int x, int y) {
    if (impl_->screen->cursor != nullptr)
        rfbDefaultPtrAddEvent(static_cast<int>(buttons), x, y, client.rfb);
}

void PictureServer::frame_resized() {
    Frame& frame = impl_->frame;
    rfbNewFramebuffer(impl_->screen.get(), impl_->frame_bytes(), frame.width, frame.height, 8, 3,
                      4);
    impl_->use_own_format();
}

void PictureServer::frame_changed(const std::vector<Rect>& changed) {
    sraRegionPtr region = sraRgnCreate();
    for (const Rect& rect : changed) {
        sraRegionPtr part =
            sraRgnCreateRect(rect.x, rect.y, rect.x + rect.width, rect.y + rect.height);
        sraRgnOr(region, part);
        sraRgnDestroy(part);
    }
    rfbMarkRegionAsModified(impl_->screen.get(), region);
    sraRgnDestroy(region);
}

void PictureServer::set_cursor(const Cursor& cursor) {
    if (cursor.width == 0 || cursor.pixels.empty())
        return rfbSetCursor(impl_->screen.get(), nullptr);
    auto* shape = static_cast<rfbCursorPtr>(calloc(1, sizeof(rfbCursor)));
    shape->cleanup = TRUE;
    shape->cleanupMask = TRUE;
    shape->cleanupRichSource = TRUE;
    shape->width = static_cast<unsigned short>(cursor.width);
    shape->height = static_cast<unsigned short>(cursor.height);
    shape->xhot = static_cast<unsigned short>(cursor.hot_x);
    shape->yhot = static_cast<unsigned short>(cursor.hot_y);
    shape->richSource = reinterpret_cast<unsigned char*>(copy_for_library(cursor.pixels));
    shape->mask = copy_for_library(cursor.mask);
    rfbSetCursor(impl_->screen.get(), shape);
}

} // namespace lom::kvms
