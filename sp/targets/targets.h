// The whole tree: one file per branch declares it, targets.cpp puts the branches together.
#pragma once

#include "base/loop.h"
#include "sp/service/image_policy.h"
#include "sp/service/managed_host.h"
#include "sp/service/media_library.h"
#include "sp/service/transfers.h"
#include "sp/service/web_door.h"
#include "sp/service/webhooks.h"
#include "sp/state/accounts.h"
#include "sp/state/database.h"
#include "sp/state/door_settings.h"
#include "sp/state/log.h"
#include "sp/state/sessions.h"
#include "sp/tree/tree.h"
#include "vmm/versions.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom {

/// Settings of the service processor itself.
struct SpSettings {
    explicit SpSettings(Settings& store);

    Setting<std::string> hostname;
    Setting<std::string> system_identifier;
    Setting<std::string> system_contact;
    Setting<std::string> system_location;
    std::string current_hostname() const; ///< the machine's name unless one is set
};

class SshDoor;

/// Answers a set of what the next boot is made of: when it holds, also for a guest that reboots.
void answer_for_next_boot(vmm::Host& host, const Result<void>& set, const Property::Done& done);

/// What the branches work on; everything here outlives the tree.
struct TargetContext {
    Loop& loop;
    SpSettings& sp;
    Accounts& accounts;
    Sessions& sessions;
    DoorSettings& doors;
    SshDoor& ssh;
    Log& events;
    Log& audit;
    ManagedHost& host;
    MediaLibrary& library;
    std::shared_ptr<const vmm::Versions> versions;
    WebDoor& web;
    Webhooks& webhooks;
    Transfers& transfers;
    ImagePolicySettings& image_policy;
    std::string acceleration_reason; ///< why hosts run on KVM or TCG
    std::string listen_address;
    std::function<void()> reset_sp; ///< restarts lomd soon
    Tree::Audit audit_deed;         ///< one that is no set and no command
};

Target::Ptr build_root(const TargetContext& context);

// -- branches
Target::Ptr sp_target(const TargetContext& context, const Target::Ptr& console);
Target::Ptr users_target(const TargetContext& context);
Target::Ptr sessions_target(const TargetContext& context);
Target::Ptr cli_target(const TargetContext& context);
Target::Ptr clock_target();
std::string uptime_text(); ///< of the service processor: `348 days, 17:32:17`
Target::Ptr preferences_target(const TargetContext& context);
Target::Ptr services_ssh_target(const TargetContext& context);
Target::Ptr network_target(const TargetContext& context);
Target::Ptr logs_target(const TargetContext& context);
Target::Ptr alertmgmt_target(const TargetContext& context);
Target::Ptr services_https_target(const TargetContext& context);
/// What takes an image, below /SP/services/kvms.
void add_media_devices(Target& kvms, const TargetContext& context);
Target::Ptr media_target(const TargetContext& context);
Target::Ptr image_policy_target(ImagePolicySettings& settings);
Target::Ptr host_target(const TargetContext& context);
Target::Ptr bootmode_target(vmm::Host& host);
Target::Ptr domain_target(vmm::Host& host);
Target::Ptr console_target(const TargetContext& context);
Target::Ptr screen_target(const TargetContext& context);
/// What /SP/services/kvms says about screens.
void add_kvms_properties(Target& target, const TargetContext& context);
Target::Ptr system_target(const TargetContext& context);
Target::Ptr legacy_system_target(const TargetContext& context);
/// What needs somebody's attention now, for /System.
Target::Ptr open_problems_target(const TargetContext& context);
Target::Ptr faultmgmt_target(const TargetContext& context);
/// start, stop and reset of the host, for /System and /SYS.
void add_power_verbs(Target& target, ManagedHost& host);

} // namespace lom
