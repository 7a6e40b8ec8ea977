// libvncserver behind a face without sockets: whole messages of a viewer in, bytes for it out. The
// library never sees a viewer's socket: for a message it gets one of its own that holds nothing
// else, and its pictures land in memory (a memfd). So none of its calls can wait for anybody. Loop
// thread only.
#pragma once

#include "base/fd.h"
#include "kvms/screen/frame.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms {

class PictureServer {
  public:
    /// What the library knows of one viewer; the server outlives it.
    class Client;
    struct ClientDeleter {
        void operator()(Client* client) const;
    };
    using ClientPtr = std::unique_ptr<Client, ClientDeleter>;

    /// `frame` outlives the server and has a size.
    PictureServer(Frame& frame, std::string title);
    ~PictureServer();
    PictureServer(const PictureServer&) = delete;
    PictureServer& operator=(const PictureServer&) = delete;

    /// A viewer after its handshake; its ServerInit message is in `init`. Null: it is refused.
    ClientPtr begin(std::string& init);
    /// What answers the message at once. Nothing: the library gave the viewer up.
    std::optional<std::string> take(Client& client, std::string_view message);
    /// What the viewer has asked for and did not get yet. Nothing: the library gave it up.
    std::optional<std::string> update(Client& client);
    /// Where the viewer's mouse is: who cannot draw its shape gets it painted there.
    void point(Client& client, unsigned buttons, int x, int y);

    void frame_resized();
    void frame_changed(const std::vector<Rect>& changed);
    void set_cursor(const Cursor& cursor);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace lom::kvms
