// The RFB client towards QEMU's display, without the socket: bytes in, a picture and bytes out.
// Of our own because libvncclient waits for the rest of a message inside its calls and knows
// neither QEMU's LED state nor a limit for what a hostile server announces. QEMU sends raw pixels:
// on a unix socket they cost the least. One thread, one owner.
#pragma once

#include "base/result.h"
#include "kvms/screen/frame.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

class Display {
  public:
    struct Handlers {
        std::function<void(std::string)> send;
        /// The picture as it is, whole or not, may be looked at a last time.
        std::function<void()> changing;
        std::function<void()> resized; ///< the picture is black now
        /// An update is complete; `changed` may be empty.
        std::function<void(const std::vector<Rect>& changed)> updated;
        std::function<void(Cursor)> cursor;
        std::function<void(int)> leds; ///< bit 0 scroll, 1 num, 2 caps lock
    };

    /// `frame` outlives the display.
    Display(Frame& frame, Handlers handlers);

    /// A fault says why this is no display; nothing more is to be read from it.
    Result<void> feed(std::string_view bytes);
    bool ready() const { return state_ >= State::message; }
    /// Asks for what changes from now on; one `updated` answers.
    void request();

    /// `code` is the XT scan code of QEMU's extended key event, 0: unknown.
    void key(std::uint32_t keysym, std::uint32_t code, bool down);
    void pointer(unsigned buttons, int x, int y);

  private:
    enum class State {
        version,
        security,
        result,
        init,
        message, // from here on the picture is there
        update,
        rect,
        pixels,
        cursor,
        leds,
        text,
        skip
    };

    /// How many of the bytes that are here the state needs before step() can do anything.
    std::size_t needed(std::string_view here) const;
    Result<void> step(std::string_view bytes);
    Result<void> server_init(std::string_view bytes);
    Result<void> begin_message(unsigned kind);
    Result<void> skip(std::size_t bytes);
    Result<void> begin_rect(std::string_view bytes);
    Result<void> resize(int width, int height);
    void begin_pixels();
    void take_pixels(std::string_view bytes);
    void take_cursor(std::string_view bytes);
    void next_rect();
    void ask(bool incremental);

    Frame& frame_;
    Handlers handlers_;
    State state_ = State::version;
    std::string buffer_;
    std::size_t skip_ = 0; ///< bytes of a text or of the name to ignore
    unsigned rects_ = 0;   ///< still to come in this update
    Rect rect_;
    int row_ = 0;
    std::vector<Rect> changed_;
    bool extended_keys_ = false;
};

} // namespace lom::kvms
