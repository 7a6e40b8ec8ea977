// The SP's own picture for viewers while there is nothing of the host's to see. Standard library
// only; any thread.
#pragma once

#include "kvms/screen/font.h"
#include "kvms/screen/frame.h"

#include <string>

namespace lom::kvms {

struct HostNotice {
    std::string name;  ///< "host0"
    std::string state; ///< "Powered Off"
    std::string event; ///< the last one, with its time
    bool operator==(const HostNotice&) const = default;
};

/// Draws into `frame`, giving it the size of a text screen.
void draw_notice(Frame& frame, const Font& font, const HostNotice& notice);

} // namespace lom::kvms
