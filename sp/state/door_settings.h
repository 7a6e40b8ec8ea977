// What administrators set about the doors: who keeps it here lets the doors and the tree agree.
// Loop thread only.
#pragma once

#include "sp/tree/settings.h"

#include <cstdint>
#include <string>

namespace lom {

enum class HostKeyType { none, ed25519, rsa };
template <>
struct Names<HostKeyType> {
    static constexpr const char* all[] = {"none", "ed25519", "rsa"};
    static constexpr const char* docs[] = {"No new key.", "Short and fast; what clients prefer.",
                                           "3072 bits, for clients that know nothing newer."};
};

struct DoorSettings {
    explicit DoorSettings(Settings& store)
        : connect_message(store, "banner/connect_message", ""),
          login_message(store, "banner/login_message", ""),
          login_message_acceptance(store, "banner/login_message_acceptance", Switch::disabled),
          cli_prompt(store, "cli/prompt", ""), cli_timeout(store, "cli/timeout", 0),
          ssh_state(store, "ssh/state", Switch::enabled), ssh_port(store, "ssh/port", 0),
          new_key_type(store, "ssh/generate_new_key_type", HostKeyType::none) {}

    Setting<std::string> connect_message; ///< before the login
    Setting<std::string> login_message;   ///< after it
    Setting<Switch> login_message_acceptance;
    Setting<std::string> cli_prompt;
    Setting<std::int64_t> cli_timeout; ///< minutes; 0: never
    Setting<Switch> ssh_state;
    Setting<std::int64_t> ssh_port; ///< 0: as lomd's flags say
    Setting<HostKeyType> new_key_type;
};

} // namespace lom
