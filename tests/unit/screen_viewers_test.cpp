// What viewers get, decoded by a viewer's library: libvncclient on a thread of its own, as it waits
// inside its calls.
#include "kvms/screen/viewers.h"

// The library's headers need their macros before anything of ours.
#include <rfb/rfbclient.h>

#include <gmock/gmock.h>

#include <sys/socket.h>

#include <atomic>
#include <thread>

namespace lom::kvms {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 20s; // on a busy machine

/// Areas of one colour, of two, of few, and of many: each encoding has its own way for each.
void paint(Frame& frame, std::uint32_t seed) {
    for (int y = 0; y < frame.height; ++y)
        for (int x = 0; x < frame.width; ++x) {
            const auto noise =
                static_cast<std::uint32_t>(x * 31 + y * 17) * (seed | 1U) * 2654435761U;
            const int area = 4 * x / frame.width;
            frame.row(y)[x] = area == 0   ? seed
                              : area == 1 ? ((x ^ y) % 5 == 0 ? seed : 0xffffffU)
                              : area == 2 ? (noise >> 29U) * 0x0a0b0cU
                                          : noise >> 8U;
        }
}

class LibraryViewer {
  public:
    LibraryViewer(UniqueFd socket, const char* encoding) : client_(rfbGetClient(8, 3, 4)) {
        rfbEnableClientLogging = FALSE;
        client_->appData.encodingsString = encoding;
        client_->appData.enableJPEG = FALSE; // would change the colours
        client_->appData.useRemoteCursor = TRUE;
        client_->canHandleNewFBSize = TRUE;
        client_->GotCursorShape = [](rfbClient* client, int, int, int width, int, int) {
            rfbClientSetClientData(client, cursor_width_key(),
                                   reinterpret_cast<void*>(static_cast<std::intptr_t>(width)));
        };
        client_->sock = socket.release();
    }
    ~LibraryViewer() { rfbClientCleanup(client_); }
    LibraryViewer(const LibraryViewer&) = delete;
    LibraryViewer& operator=(const LibraryViewer&) = delete;

    bool connect() {
        if (InitialiseRFBConnection(client_) == FALSE)
            return false;
        client_->width = client_->si.framebufferWidth;
        client_->height = client_->si.framebufferHeight;
        client_->updateRect = {0, 0, client_->width, client_->height};
        return client_->MallocFrameBuffer(client_) != FALSE &&
               SetFormatAndEncodings(client_) != FALSE &&
               SendFramebufferUpdateRequest(client_, 0, 0, client_->width, client_->height,
                                            FALSE) != FALSE;
    }
    /// Until it shows the picture, or for too long.
    bool shows(const Frame& wanted) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!equals(wanted)) {
            if (std::chrono::steady_clock::now() > deadline)
                return false;
            if (WaitForMessage(client_, 100'000) > 0 && HandleRFBServerMessage(client_) == FALSE)
                return false;
        }
        return true;
    }
    std::intptr_t cursor_width() const {
        return reinterpret_cast<std::intptr_t>(rfbClientGetClientData(client_, cursor_width_key()));
    }

  private:
    static void* cursor_width_key() {
        static int key;
        return &key;
    }
    bool equals(const Frame& wanted) const {
        if (client_->width != wanted.width || client_->height != wanted.height)
            return false;
        const auto* dots = reinterpret_cast<const std::uint32_t*>(client_->frameBuffer);
        const rfbPixelFormat& format = client_->format;
        for (std::size_t i = 0; i < wanted.pixels.size(); ++i) {
            const std::uint32_t dot = (dots[i] >> format.redShift & 0xffU) << 16U |
                                      (dots[i] >> format.greenShift & 0xffU) << 8U |
                                      (dots[i] >> format.blueShift & 0xffU);
            if (dot != wanted.pixels[i])
                return false;
        }
        return true;
    }

    rfbClient* client_;
};

struct ViewersTest : ::testing::TestWithParam<const char*> {};

TEST_P(ViewersTest, see_the_picture_its_new_sizes_and_the_cursor) {
    Loop loop;
    Frame frame;
    frame.resize(200, 100);
    paint(frame, 0x3366cc);
    const Frame first = frame;
    Frame second;
    second.resize(333, 241);
    paint(second, 0x1199ee);
    Viewers viewers(loop, frame, "host0",
                    {.key = [](std::uint32_t, std::uint32_t, bool) {},
                     .pointer = [](unsigned, int, int) {},
                     .text = [](const std::string&) {},
                     .changed = [] {},
                     .refused = [](const std::string&) {}});
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    viewers.add(UniqueFd(ends[1]), {}, false);

    std::atomic<bool> done = false;
    bool connected = false;
    bool saw_first = false;
    bool saw_second = false;
    std::intptr_t cursor = 0;
    std::thread thread([&] {
        LibraryViewer viewer(UniqueFd(ends[0]), GetParam());
        connected = viewer.connect();
        saw_first = connected && viewer.shows(first);
        loop.post([&] {
            frame = second;
            viewers.set_cursor({7, 2, 0, 0, std::vector<std::uint32_t>(14, 0xff), {0xfe, 0xfe}});
            viewers.frame_resized();
        });
        saw_second = saw_first && viewer.shows(second);
        cursor = viewer.cursor_width();
        done = true;
    });
    loop.run_until([&] { return done.load(); }, 3 * patience);
    thread.join();
    EXPECT_TRUE(connected);
    EXPECT_TRUE(saw_first);
    EXPECT_TRUE(saw_second);
    EXPECT_EQ(cursor, 7);
}

INSTANTIATE_TEST_SUITE_P(encodings, ViewersTest,
                         ::testing::Values("raw", "hextile", "zlib", "tight", "zrle"),
                         [](const auto& tested) { return std::string(tested.param); });

} // namespace

} // namespace lom::kvms
