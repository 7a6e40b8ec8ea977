// libFuzzer: what viewers send and what a display sends, all hostile.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I.
//   tests/fuzz/screen_fuzz.cpp kvms/screen/{display,viewer_protocol,text_reader,font}.cpp
#include "kvms/screen/display.h"
#include "kvms/screen/text_reader.h"
#include "kvms/screen/viewer_protocol.h"

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

void fuzz_display(std::string_view bytes, std::size_t cut) {
    Frame frame;
    Display display(frame, {.send = [](const std::string&) {},
                            .changing = [] {},
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
    (void)read_text(frame, {Font()});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size < 2)
        return 0;
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    if ((data[0] & 1U) != 0)
        fuzz_display(bytes, data[1]);
    else
        fuzz_viewer(bytes, data[1], (data[0] & 2U) != 0);
    return 0;
}
