#include "kvms/screen/vnc_password.h"

// libvncserver's header needs its macros before anything of ours.
#include <rfb/rfb.h>

#include <sys/random.h>

namespace lom::kvms {

namespace {

bool answers(ViewerProtocol::Challenge challenge, std::string key, std::string_view answer) {
    rfbEncryptBytes(reinterpret_cast<unsigned char*>(challenge.data()), key.data());
    unsigned difference = 0;
    for (std::size_t i = 0; i < challenge.size(); ++i)
        difference |= static_cast<unsigned>(challenge[i] ^ answer[i]);
    return difference == 0;
}

} // namespace

ViewerProtocol::Password ask_for(const std::string& password) {
    ViewerProtocol::Password asked;
    if (getrandom(asked.challenge.data(), asked.challenge.size(), 0) ==
        static_cast<ssize_t>(asked.challenge.size()))
        asked.check = [password](const ViewerProtocol::Challenge& challenge,
                                 std::string_view answer) {
            return answers(challenge, password, answer);
        };
    else
        asked.check = [](const auto&, std::string_view) { return false; };
    return asked;
}

} // namespace lom::kvms
