// Everybody who looks at a host's screen: any number of viewers, one of which writes. A viewer gets
// its next update only when it has taken the last one: one that reads slowly gets fewer pictures,
// slows nobody, and costs one update of memory. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "kvms/screen/frame.h"
#include "kvms/screen/viewer_protocol.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lom::kvms {

struct ViewerInfo {
    std::uint64_t id = 0;
    std::string who;     ///< "root (127.0.0.1)"
    std::string session; ///< in /SP/sessions; ends with it
    bool may_write = false;
    bool writer = false;
};

class Viewers {
  public:
    static constexpr std::size_t most = 300;

    struct Handlers { ///< keys, pointer and texts are the writer's only
        std::function<void(std::uint32_t keysym, std::uint32_t code, bool down)> key;
        std::function<void(unsigned buttons, int x, int y)> pointer;
        std::function<void(std::string)> text;
        std::function<void()> changed; ///< viewers came, went, or swapped seats
        std::function<void(const std::string& who)> refused; ///< gave a wrong password
    };

    /// `frame` outlives the viewers and has a size.
    Viewers(Loop& loop, Frame& frame, std::string title, Handlers handlers);
    ~Viewers();
    Viewers(const Viewers&) = delete;
    Viewers& operator=(const Viewers&) = delete;

    /// The viewer writes if the seat is free, or with `force`. `password`: asked for by VNC's own
    /// means, otherwise the account is known already.
    void add(UniqueFd socket, ViewerInfo info, bool force, const std::string& password = {});
    void drop_session(const std::string& session);
    /// An account may look only, from now on.
    void demote_session(const std::string& session);
    /// Keyboard and mouse go to that session's first viewer that may have them.
    void give_seat(const std::string& session);
    void drop_all();
    std::vector<ViewerInfo> list() const;
    bool empty() const;

    // -- what they see
    void frame_resized();
    void frame_changed(const std::vector<Rect>& changed);
    void set_cursor(const Cursor& cursor);
    void set_leds(int leds);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
