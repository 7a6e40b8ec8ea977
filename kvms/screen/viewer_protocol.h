// What a viewer sends, without the socket: the handshake, then whole messages. Only messages that
// are complete and within limits go on to libvncserver, which would wait for the rest inside its
// calls; keys, pointer and texts never reach it. One thread, one owner.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lom::kvms {

/// What the viewer's encodings say beyond libvncserver's own.
struct ViewerAbilities {
    bool extended_keys = false;
    bool leds = false;
};

class ViewerProtocol {
  public:
    struct Handlers {
        std::function<void(std::string)> send;
        std::function<void()> begin; ///< the handshake is over: the ServerInit message is due
        /// A message for libvncserver: pixel format, encodings, update request, desktop size.
        std::function<void(std::string_view message)> forward;
        std::function<void(ViewerAbilities)> abilities;
        std::function<void(std::uint32_t keysym, std::uint32_t code, bool down)> key;
        std::function<void(unsigned buttons, int x, int y)> pointer;
        std::function<void(std::string text)> text; ///< in UTF-8
    };
    using Challenge = std::array<char, 16>;
    /// Whether the 16 bytes are the challenge encrypted with the password.
    using Checker = std::function<bool(const Challenge&, std::string_view answer)>;
    struct Password {
        Challenge challenge; ///< random
        Checker check;
    };

    ViewerProtocol(Handlers handlers, std::optional<Password> password);

    void start(); ///< sends the version
    /// A fault says why the connection is to be closed.
    Result<void> feed(std::string_view bytes);
    bool began() const { return state_ == State::messages; }

  private:
    enum class State { version, security, password, init, messages };

    /// Length of the message that begins here; 0: not known yet.
    Result<std::size_t> length_of(std::string_view here) const;
    Result<void> step(std::string_view bytes);
    Result<void> take_version(std::string_view bytes);
    void offer_security();
    void security_done();
    Result<void> take_password(std::string_view answer);
    Result<void> take_message(std::string_view message);
    void take_encodings(std::string_view message);

    Handlers handlers_;
    std::optional<Password> password_;
    State state_ = State::version;
    int minor_ = 8;
    std::string buffer_;
};

} // namespace lom::kvms
