// libFuzzer: what viewers send and what a display sends, all hostile; what gets through goes on to
// libvncserver, as in lom-kvm, while the picture changes.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/screen_fuzz.cpp
//   kvms/screen/{display,viewer_protocol,viewers,picture_server,vnc_password}.cpp
//   kvms/screen/{text_reader,font,lzma,past}.cpp
//   base/{loop,stream,passed_fds,process,files}.cpp -lboost_json -lvncserver -llzma
#include "base/files.h"
#include "kvms/screen/display.h"
#include "kvms/screen/past.h"
#include "kvms/screen/text_reader.h"
#include "kvms/screen/viewer_protocol.h"
#include "kvms/screen/viewers.h"

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

using namespace lom;
using namespace lom::kvms;

namespace {

/// In two parts, as a socket may give it.
template <typename Reader>
void feed(Reader& reader, std::string_view bytes, std::size_t cut) {
    cut = std::min(cut, bytes.size());
    if (reader.feed(bytes.substr(0, cut)))
        (void)reader.feed(bytes.substr(cut));
}

void fuzz_viewer(std::string_view bytes, std::size_t cut, bool password) {
    bool begun = false;
    std::optional<ViewerProtocol::Password> asked;
    if (password)
        asked = {{}, [](const auto&, std::string_view answer) { return answer[0] == 'x'; }};
    const auto only_later = [&begun] {
        if (!begun)
            std::abort(); // something reached us before the handshake was over
    };
    ViewerProtocol viewer({.send = [](const std::string&) {},
                           .begin = [&] { begun = true; },
                           .forward =
                               [&](std::string_view message) {
                                   only_later();
                                   if (message.size() > 1200)
                                       std::abort();
                               },
                           .abilities = [&](ViewerAbilities) { only_later(); },
                           .key = [&](std::uint32_t, std::uint32_t, bool) { only_later(); },
                           .pointer = [&](unsigned, int, int) { only_later(); },
                           .text = [&](const std::string&) { only_later(); }},
                          std::move(asked));
    viewer.start();
    feed(viewer, bytes, cut);
}

const std::vector<Font>& fonts() {
    static const auto all = [] {
        std::vector<Font> found;
        const auto bios = read_file("/usr/share/seabios/vgabios-stdvga.bin");
        for (const int height : {16, 14, 8})
            found.push_back(Font::of_vga(bios ? *bios : "", height).value());
        return found;
    }();
    return all;
}

void fuzz_display(std::string_view bytes, std::size_t cut) {
    Frame frame;
    Past past;
    Display display(frame,
                    {.send = [](const std::string&) {},
                     .changing = [&] { past.changing(frame, Past::Time(), Past::Clock::now()); },
                     .resized =
                         [&frame] {
                             if (!Frame::allows(frame.width, frame.height))
                                 std::abort();
                         },
                     .updated =
                         [&](const std::vector<Rect>& changed) {
                             for (const Rect& rect : changed)
                                 if (!frame.contains(rect))
                                     std::abort();
                         },
                     .cursor = [](const Cursor&) {},
                     .leds = [](int) {}});
    feed(display, bytes, cut);
    if (!frame.pixels.empty() && frame.pixels.size() < 200'000) // large ones take their time
        (void)read_text(frame, fonts());
}

/// What happens on the host's side between two pieces of what a viewer sends.
void change_picture(Viewers& viewers, Frame& frame, unsigned how) {
    frame.pixels[how % frame.pixels.size()] = how * 0x010101U;
    viewers.frame_changed({{0, 0, frame.width, 1 + static_cast<int>(how % 40)}});
    if ((how & 1U) != 0) {
        frame.resize(16 + static_cast<int>(how), 40 + static_cast<int>(how / 2));
        viewers.frame_resized();
    }
    if ((how & 2U) != 0)
        viewers.set_leds(static_cast<int>(how & 7U));
    if ((how & 4U) != 0)
        viewers.set_cursor({8, 2, 1, 1, std::vector<std::uint32_t>(16, how), {0xff, 0x55}});
    if ((how & 8U) != 0)
        viewers.set_cursor({});
    if ((how & 16U) != 0)
        viewers.give_seat("it");
}

/// A viewer that is let in at a real socket; each piece of its bytes begins with its length and
/// what the host does after it.
void fuzz_viewers(std::string_view bytes) {
    static Loop loop;
    std::signal(SIGPIPE, SIG_IGN);
    Frame frame;
    frame.resize(64, 48);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return;
    const UniqueFd ours(ends[0]);
    Viewers viewers(loop, frame, "fuzz",
                    {.key = [](std::uint32_t, std::uint32_t, bool) {},
                     .pointer = [](unsigned, int, int) {},
                     .text = [](const std::string&) {},
                     .changed = [] {},
                     .refused = [](const std::string&) {}});
    viewers.add(UniqueFd(ends[1]),
                {.who = "it", .session = "it", .may_write = true, .writer = false}, false);
    const auto say = [&](std::string_view piece) {
        (void)!::send(ours.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
        for (int round = 0; round < 4; ++round) { // to what is ready, and to what comes of that
            bool reached = false;
            loop.post([&reached] { reached = true; });
            loop.run_until([&reached] { return reached; }, std::chrono::seconds(5));
        }
        char sink[65536];
        while (recv(ours.get(), sink, sizeof(sink), MSG_DONTWAIT) > 0) {
        }
    };
    say("RFB 003.008\n\1\1");
    while (bytes.size() > 2 && !viewers.empty()) {
        const auto length = static_cast<unsigned char>(bytes[0]);
        const auto how = static_cast<unsigned char>(bytes[1]);
        say(bytes.substr(2, length));
        change_picture(viewers, frame, how);
        bytes.remove_prefix(std::min<std::size_t>(bytes.size(), 2U + length));
    }
    shutdown(ours.get(), SHUT_WR);
    if (!loop.run_until([&] { return viewers.empty(); }, std::chrono::seconds(5)))
        std::abort(); // it stays though its viewer has gone
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    if ((data[0] & 1U) != 0)
        fuzz_display(bytes, data[1]);
    else if ((data[0] & 4U) != 0)
        fuzz_viewers(bytes);
    else
        fuzz_viewer(bytes, data[1], (data[0] & 2U) != 0);
    return 0;
}
