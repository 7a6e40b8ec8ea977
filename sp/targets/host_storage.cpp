// /SP/services/kvms/host_storage_device and its like: images as the host's USB devices.
#include "kvms/library/library.h"
#include "kvms/media/uri.h"
#include "sp/targets/clock_text.h"
#include "sp/targets/targets.h"

namespace lom {

namespace {

constexpr std::int64_t longest_outage = 7 * 86400;

Result<void> check_uri(const std::string& uri) {
    if (uri.empty())
        return {};
    if (const std::string name = MediaSlot::library_name(uri); !name.empty())
        return kvms::Library::check_name(name);
    const auto parsed = media::parse_image_uri(uri);
    return parsed ? Result<void>() : parsed.fault();
}

/// Answers when the status has settled, or with what it waits for.
void apply(MediaSlot& slot, const std::string& done_so_far, const Property::Done& done) {
    slot.apply([done_so_far, done](const std::string& waits_for) {
        done(SetOutcome{.message = waits_for.empty() ? "" : done_so_far + waits_for});
    });
}

/// Stores a value that changes what is mounted.
template <typename T>
auto set_and_apply(MediaSlot& slot, Setting<T>& setting, const std::string& name) {
    return [&slot, &setting, name](const Caller&, const T& value, const Property::Done& done) {
        if (const auto stored = setting.set(value); !stored)
            return done(stored.fault());
        const std::string text = Codec<T>::type().print(Codec<T>::wrap(value));
        apply(slot, "Set '" + name + "' to '" + text + "'. ", done);
    };
}

/// Forgets the host key of the server in server_URI and tries again.
void forget_host_key(MediaSlot& slot, const Property::Done& done) {
    const auto uri = media::parse_image_uri(*slot.settings().server_uri);
    if (!uri)
        return done(Fault{FaultKind::wrong_state, "Set server_URI first: it names the server."});
    if (const auto forgotten = slot.forget_host_key(uri->host, uri->port); !forgotten)
        return done(forgotten.fault());
    apply(slot, "", done);
}

Target::Ptr remote_target(MediaSlot& slot) {
    auto target = Target::make("remote", "Where the image lies.");
    MediaSettings& settings = slot.settings();
    const Roles role = Role::admin | Role::console;
    const auto changed = [&slot] { slot.apply_soon(); };
    target->managed<bool>({.name = "forget_host_key",
                           .doc = "Set to true when the image's server has a new SSH host key: the "
                                  "next one that it shows is remembered.",
                           .write = role,
                           .set = [&slot](const Caller&, bool forget, const Property::Done& done) {
                               if (!forget)
                                   return done(SetOutcome{});
                               forget_host_key(slot, done);
                           }});
    target->shows<std::string>("host_key_fingerprint",
                               "SSH host key of the image's server, remembered on first use.",
                               [&slot] { return slot.image().host_key_fingerprint; });
    target->persistent<std::string>(settings.password,
                                    {.name = "password",
                                     .doc = "Password of the account on the image's server.",
                                     .write = role,
                                     .secret = true,
                                     .changed = changed});
    target->managed<std::string>(
        {.name = "server_URI",
         .doc = "sshfs://HOST[:PORT]:/PATH/IMAGE.iso, or with https, http, nfs or smb "
                "(smb://HOST/SHARE/IMAGE.iso), or /SP/media/IMAGE.iso of the library; empty: no "
                "image.",
         .write = role,
         .get = [&settings] { return *settings.server_uri; },
         .set =
             [apply = set_and_apply(slot, settings.server_uri, "server_URI")](
                 const Caller& caller, const std::string& uri, const Property::Done& done) {
                 if (const auto fine = check_uri(uri); !fine)
                     return done(fine.fault());
                 apply(caller, uri, done);
             }});
    target->persistent<std::string>(settings.ssh_key,
                                    {.name = "ssh_key",
                                     .doc = "Private key for the account, in one line: newlines as "
                                            "\\n.",
                                     .write = role,
                                     .secret = true,
                                     .changed = changed});
    target->persistent<std::string>(settings.username, {.name = "username",
                                                        .doc = "Account on the image's server.",
                                                        .write = role,
                                                        .changed = changed});
    if (slot.device().can_write)
        target->managed<bool>(
            {.name = "writable",
             .doc = "Whether the host may write to the image. Only an image of the library is "
                    "written to, and only one device may have it then.",
             .write = role,
             .get = [&settings] { return *settings.writable; },
             .set = set_and_apply(slot, settings.writable, "writable")});
    return target;
}

Result<void> check_outage_timeout(std::int64_t seconds) {
    if (seconds < 0 || seconds > longest_outage)
        return Fault{FaultKind::invalid_value, "Give 0 to 604800 seconds."};
    return {};
}

std::string size_text(std::uint64_t bytes) {
    if (bytes == 0)
        return "";
    return std::to_string((bytes + (1U << 19U)) >> 20U) + " MB";
}

Target::Ptr media_slot_target(MediaSlot& slot) {
    MediaSettings& settings = slot.settings();
    const Roles role = Role::admin | Role::console;
    auto target = Target::make(slot.device().target, slot.device().doc);
    if (vmm::traits_of(slot.device().drive).has_tray)
        target->managed<bool>(
            {.name = "force_eject",
             .doc = "Set to true to take the image out of a tray that the guest has locked and "
                    "does not open; its reads fail from then on.",
             .write = role,
             .set = [&slot](const Caller&, bool force, const Property::Done& done) {
                 const auto begun = force ? slot.force_eject() : Result<void>();
                 if (!begun || !force)
                     return done(begun ? Result<SetOutcome>(SetOutcome{}) : begun.fault());
                 apply(slot, "", done);
             }});
    target->managed<StorageMode>(
        {.name = "mode",
         .doc = "remote: the image of the target 'remote' is in the drive.",
         .write = role,
         .get = [&settings] { return *settings.mode; },
         .set = set_and_apply(slot, settings.mode, "mode")});
    const auto follow = [&slot] { slot.follow_outage_policy(); };
    target->persistent<OnOutage>(
        settings.on_outage,
        {.name = "on_outage",
         .doc = "What becomes of a guest that reads while the image's source is away for more than "
                "20 seconds. wait: it is held, and goes on when the source is back. report: it "
                "gets an I/O error.",
         .write = Role::admin | Role::console,
         .changed = follow});
    target->persistent<std::int64_t>(
        settings.outage_timeout,
        {.name = "outage_timeout",
         .doc = "Longest time in seconds that 'wait' holds a guest in one outage; then it gets an "
                "I/O error. 0: for ever.",
         .write = Role::admin | Role::console,
         .check = check_outage_timeout,
         .changed = follow});
    target->shows<std::string>("last_error", "What the image's source failed with last.",
                               [&slot] { return slot.image().last_error; });
    target->shows<std::string>("size", "Size of the image.",
                               [&slot] { return size_text(slot.image().size); });
    target->shows<std::string>("status", "operational, or why not.",
                               [&slot] { return slot.status(); });
    target->shows<std::string>("status_detail", "The status in a sentence.",
                               [&slot] { return slot.detail(); });
    target->shows<std::string>("unavailable_since", "Since when the image's source is away.",
                               [&slot] {
                                   const std::int64_t since = slot.image().since;
                                   return since == 0 ? std::string() : clock_text(since);
                               });
    target->shows<std::int64_t>("unavailable_tries",
                                "Attempts to reach the image's source since then.",
                                [&slot] { return static_cast<std::int64_t>(slot.image().tries); });
    target->shows<std::string>("volume_id", "Volume id of the image.",
                               [&slot] { return slot.image().volume_id; });
    target->child(remote_target(slot));
    return target;
}

} // namespace

void add_media_devices(Target& kvms, ManagedHost& host) {
    for (const auto& slot : host.media())
        kvms.child(media_slot_target(*slot));
}

} // namespace lom
