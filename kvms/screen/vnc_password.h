// VNC's own way to ask for a password: 16 random bytes, which the viewer encrypts with it. One
// thread, one owner.
#pragma once

#include "kvms/screen/viewer_protocol.h"

#include <string>

namespace lom::kvms {

ViewerProtocol::Password ask_for(const std::string& password);

} // namespace lom::kvms
