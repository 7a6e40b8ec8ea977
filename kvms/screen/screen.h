// lomd's side of a host's screen: starts lom-kvm, adopts the one an earlier lomd started, gives it
// QEMU's display and the viewers as descriptors, and asks it what is on the screen. It knows
// nothing of the tree. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "kvms/screen/typist.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom::kvms {

struct ScreenPaths {
    std::string programs; ///< folder of lom-kvm
    std::string control;  ///< R/hosts/<name>/screen.sock
    std::string record;   ///< D/hosts/<name>/screen.json: what runs, for adoption
    std::string log;      ///< its standard error
    std::string display;  ///< QEMU's VNC socket
};

struct ScreenViewer {
    std::string who;
    std::string session;
    bool may_write = false;
    bool writer = false;
};

struct ScreenStatus {
    bool connected = false; ///< it shows the host, not the notice that the host is off
    int width = 0;
    int height = 0;
    unsigned leds = 0; ///< of its keyboard: 1 scroll lock, 2 num lock, 4 caps lock
    std::vector<ScreenViewer> viewers;
};

struct ViewerRequest {
    std::string who;     ///< "root (127.0.0.1)"
    std::string session; ///< ends with it
    bool may_write = false;
    bool force = false;   ///< takes the keyboard from whoever has it
    std::string password; ///< asked for by VNC's means; empty: the account is known
};

struct ScreenText {
    bool live = false; ///< of the host, not of the notice
    int width = 0;
    int height = 0;
    int columns = 0; ///< 0: graphics
    int rows = 0;
    std::string text;
};

class Screen {
  public:
    template <typename T>
    using Done = std::function<void(Result<T>)>;

    struct Observer {
        std::function<void()> changed;                       ///< the status
        std::function<void(const std::string& who)> refused; ///< gave a wrong password
    };

    Screen(Loop& loop, ScreenPaths paths, std::string host, Observer observer);
    ~Screen(); ///< leaves lom-kvm and its viewers

    /// Starts lom-kvm or adopts the running one.
    void open();
    /// Ends lom-kvm for good; nothing else may be asked of us afterwards.
    void end();
    const ScreenStatus& status() const;
    /// The host runs: its display is (still) to be shown. False: it is off.
    void follow_host(bool on, const std::string& state, const std::string& event);
    /// Something ended what the host showed; keeps the picture as it was at that time.
    void keep_last(std::chrono::system_clock::time_point at);

    /// The viewer's end of a connection that speaks RFB 3.8.
    Result<UniqueFd> connect_viewer(const ViewerRequest& request);
    /// A viewer that came by a socket of its own.
    Result<void> take_viewer(UniqueFd socket, const ViewerRequest& request);
    void drop_session(const std::string& session);
    void demote_session(const std::string& session);
    /// Keyboard and mouse go to that session's viewer, if it has one that may have them.
    void give_seat(const std::string& session);
    void drop_viewers();

    void read_text(bool last, Done<ScreenText> done);
    /// An open file with a PNG picture of at most 64 MiB; lom-kvm cannot change it any more.
    void read_png(bool last, Done<UniqueFd> done);

    /// How texts become keys, and whether viewers' clipboards are typed.
    void use_keyboard(Layout layout, bool clipboard);
    Result<void> press(const std::vector<Stroke>& strokes);
    Result<void> type(const std::string& text);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
