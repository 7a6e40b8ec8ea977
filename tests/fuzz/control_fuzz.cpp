// libFuzzer: frames and requests of the control protocol as lomd reads them, and replies as its
// clients do.
// clang++-19 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/control_fuzz.cpp
//   sp/control/wire.cpp sp/tree/value.cpp -lboost_json
#include "sp/control/wire.h"

#include <cstdlib>
#include <optional>

using namespace lom;
using namespace lom::control;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string text(data, data + size);
    FrameReader reader(4096);
    for (std::size_t at = 0; at < text.size(); at += 7) {
        if (!reader.feed(std::string_view(text).substr(at, 7)))
            break;
        while (const auto message = reader.next()) {
            if (message->size() > 4096)
                std::abort();
            (void)decode_request(*message);
        }
    }
    if (const auto request = decode_request(text)) {
        // What was understood comes back as itself.
        const auto again = decode_request(encode(*request));
        if (!again || again->op != request->op || again->target != request->target)
            std::abort();
    }
    (void)decode_hello(text);
    (void)decode_view(text);
    (void)decode_description(text);
    (void)decode_set(text);
    (void)decode_run(text);
    (void)decode_done(text);
    return 0;
}
