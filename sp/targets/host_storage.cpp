// /SP/services/kvms/host_storage_device and its like: images as the host's USB devices.
#include "kvms/media/sources/uri.h"
#include "sp/targets/clock_text.h"
#include "sp/targets/size_type.h"
#include "sp/targets/targets.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace lom {

namespace {

constexpr Roles media_roles = Role::admin | Role::console;
constexpr std::int64_t longest_outage = 7 * 86400;
constexpr std::uint64_t least_cache = 2U << 20U;
constexpr std::uint64_t most_cache = std::uint64_t{64} << 30U;
constexpr std::uint64_t most_disk_cache = std::uint64_t{16} << 40U;

Result<void> check_pin(const std::string& pin) {
    static constexpr std::string_view begin = "sha256//";
    static constexpr std::size_t length = 44; // of 32 bytes in base64
    const auto is_base64 = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '+' || c == '/';
    };
    if (pin.empty() ||
        (pin.starts_with(begin) && pin.size() == begin.size() + length && pin.back() == '=' &&
         std::all_of(pin.begin() + begin.size(), pin.end() - 1, is_base64)))
        return {};
    return Fault{FaultKind::invalid_value,
                 "Give the SHA-256 of the server's public key as sha256// and 44 characters of "
                 "base64."};
}

/// Follows the settings, and answers when the status has settled, or with what it waits for. The
/// audit log gets one line with who has put what into the drive, whichever of its properties did
/// it.
void apply(MediaSlot& slot, Log& audit, const Caller& caller, const std::string& done_so_far,
           const Property::Done& done) {
    const MediaSettings& settings = slot.settings();
    if (*settings.mode == StorageMode::remote && !settings.server_uri->empty())
        audit.append("Audit", "Log", "info",
                     caller.account + " from " + caller.source + ": insert " +
                         *settings.server_uri);
    slot.apply([done_so_far, done](const std::string& waits_for) {
        done(SetOutcome{.message = waits_for.empty() ? "" : done_so_far + waits_for});
    });
}

/// Stores a value that changes what is inserted.
template <typename T>
auto set_and_apply(MediaSlot& slot, Log& audit, Setting<T>& setting, const std::string& name) {
    return [&slot, &audit, &setting, name](const Caller& caller, const T& value,
                                           const Property::Done& done) {
        if (const auto stored = setting.set(value); !stored)
            return done(stored.fault());
        const std::string text = Codec<T>::type().print(Codec<T>::wrap(value));
        apply(slot, audit, caller, "Set '" + name + "' to '" + text + "'. ", done);
    };
}

/// Forgets the host key of the server in server_URI and tries again.
void forget_host_key(MediaSlot& slot, const Property::Done& done) {
    const auto uri = media::parse_image_uri(*slot.settings().server_uri);
    if (!uri)
        return done(Fault{FaultKind::wrong_state, "Set server_URI first: it names the server."});
    if (const auto forgotten = slot.forget_host_key(uri->host, uri->port); !forgotten)
        return done(forgotten.fault());
    slot.apply([done](const std::string&) { done(SetOutcome{}); });
}

Target::Ptr remote_target(MediaSlot& slot, Log& audit) {
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
             [&slot, &audit](const Caller& caller, const std::string& uri,
                             const Property::Done& done) {
                 if (LocalImage::is_local(uri))
                     return done(
                         Fault{FaultKind::invalid_value,
                               "An image on one's own computer is inserted on the web page."});
                 if (const auto set = slot.set_image(uri, caller.account, caller.roles); !set)
                     return done(set.fault());
                 apply(slot, audit, caller, "Set 'server_URI' to '" + uri + "'. ", done);
             }});
    target->shows<std::string>("set_by", "The account that set server_URI.",
                               [&settings] { return *settings.set_by; });
    target->persistent<std::string>(settings.ssh_key,
                                    {.name = "ssh_key",
                                     .doc = "Private key for the account, in one line: newlines as "
                                            "\\n.",
                                     .write = role,
                                     .secret = true,
                                     .changed = changed});
    target->persistent<std::string>(
        settings.tls_ca,
        {.name = "tls_ca",
         .doc = "Certificates of the authorities that an https server is checked by: PEM in one "
                "line, newlines as \\n; empty: those of image_policy.",
         .write = role,
         .check = check_authorities,
         .changed = changed});
    target->persistent<std::string>(
        settings.tls_pin,
        {.name = "tls_pin",
         .doc = "sha256//BASE64 of the public key that an https server must have, checked instead "
                "of authorities; empty: none.",
         .write = role,
         .check = check_pin,
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
             .set = set_and_apply(slot, audit, settings.writable, "writable")});
    return target;
}

Result<void> check_outage_timeout(std::int64_t seconds) {
    if (seconds < 0 || seconds > longest_outage)
        return Fault{FaultKind::invalid_value, "Give 0 to 604800 seconds."};
    return {};
}

void start_local(ManagedHost& host, const VerbCall& call, const Verb::Done& done) {
    LocalImage::Request request{.session = call.caller.session,
                                .account = call.caller.account,
                                .roles = call.caller.roles,
                                .who = call.caller.account + " (" + call.caller.source + ")",
                                .force = call.force};
    for (const auto& [name, value] : call.properties) {
        if (name == "file")
            request.file = std::get<std::string>(value);
        else if (name == "resume")
            request.resume = std::get<bool>(value);
    }
    host.local_image().open(request, [done](Result<UniqueFd> fd) {
        if (!fd)
            return done(fd.fault());
        VerbOutcome outcome;
        outcome.message = "The image is read from the page as long as it is open.";
        outcome.stream = "image";
        outcome.fd = std::move(*fd);
        done(std::move(outcome));
    });
}

Target::Ptr local_target(ManagedHost& host) {
    auto target = Target::make("local", "An image on the computer of somebody at the web page.");
    target->shows<std::string>("file", "Its name; empty: none is in the drive.",
                               [&host] { return host.local_image().file(); });
    target->shows<std::string>("session", "The session in /SP/sessions that it ends with.",
                               [&host] { return host.local_image().session(); });
    target->shows<std::string>("user", "Whose it is.",
                               [&host] { return host.local_image().who(); });
    Verb verb{.name = "start",
              .doc = "Lets a program feed the drive with a file of its own: the web page does "
                     "that. -force: instead of somebody else's.",
              .role = Role::admin | Role::console,
              .asks = false,
              .run = [&host](const VerbCall& call, const std::string&, const Verb::Done& done) {
                  start_local(host, call, done);
              }};
    verb.takes.push_back(Target::property_of<std::string>(
        {.name = "file", .doc = "Name of the file, without folders.", .required = true}));
    verb.takes.push_back(Target::property_of<bool>(
        {.name = "resume", .doc = "true: only to go on with what is in the drive."}));
    target->verb(std::move(verb));
    return target;
}

std::string size_text(std::uint64_t bytes) {
    if (bytes == 0)
        return "";
    return std::to_string((bytes + (1U << 19U)) >> 20U) + " MB";
}

std::string percent_text(const kvms::DriveStatus& image, std::uint64_t percent) {
    return image.size == 0 ? "" : std::to_string(percent) + "%";
}

/// One digit after the point.
std::string decimal_text(std::uint64_t value, std::uint64_t unit, const char* name) {
    char text[48];
    snprintf(text, sizeof(text), "%.1f %s", static_cast<double>(value) / static_cast<double>(unit),
             name);
    return text;
}

/// A size that the next lom-media is started with.
void declare_size(Target& target, const char* name, const char* doc, Setting<std::int64_t>& setting,
                  std::uint64_t least, std::uint64_t most, bool or_none) {
    target.managed<ByteSize>(
        {.name = name,
         .doc = doc,
         .write = Role::admin | Role::console,
         .get = [&setting] { return ByteSize{static_cast<std::uint64_t>(*setting)}; },
         .set =
             [&setting, least, most, or_none](const Caller&, ByteSize size,
                                              const Property::Done& done) {
                 const bool none = or_none && size.bytes == 0;
                 if (!none && (size.bytes < least || size.bytes > most))
                     return done(Fault{FaultKind::invalid_value,
                                       "Give " + std::string(or_none ? "0 or " : "") +
                                           size_type().print(Codec<ByteSize>::wrap({least})) +
                                           " to " +
                                           size_type().print(Codec<ByteSize>::wrap({most})) + "."});
                 if (const auto stored = setting.set(static_cast<std::int64_t>(size.bytes));
                     !stored)
                     return done(stored.fault());
                 done(SetOutcome{});
             }});
}

/// How the reading goes.
/// What is in the drive.
void declare_image(Target& target, MediaSlot& slot, Log& audit) {
    MediaSettings& settings = slot.settings();
    target.managed<StorageMode>({.name = "mode",
                                 .doc = "remote: the image of the target 'remote' is in the drive.",
                                 .write = media_roles,
                                 .get = [&settings] { return *settings.mode; },
                                 .set = set_and_apply(slot, audit, settings.mode, "mode")});
    target.shows<std::string>("status", "operational, or why not.",
                              [&slot] { return slot.status(); });
    target.shows<std::string>("status_detail", "The status in a sentence.",
                              [&slot] { return slot.detail(); });
    target.shows<std::string>("size", "Size of the image.",
                              [&slot] { return size_text(slot.image().size); });
    target.shows<std::string>("volume_id", "Volume id of the image.",
                              [&slot] { return slot.image().volume_id; });
}

/// How it is read.
void show_figures(Target& target, const MediaSlot& slot) {
    target.shows<std::string>("rate", "Read from the image's source each second, lately.", [&slot] {
        return slot.image().size == 0 ? std::string()
                                      : decimal_text(slot.image().rate, 1U << 20U, "MB/s");
    });
    target.shows<std::string>(
        "latency", "Time that the source takes for its fastest answers.", [&slot] {
            const std::uint64_t latency = slot.image().latency;
            return latency == 0 ? std::string() : decimal_text(latency, 1000, "ms");
        });
    target.shows<std::int64_t>("bytes_read", "Bytes read from the image's source so far.", [&slot] {
        return static_cast<std::int64_t>(slot.image().bytes_read);
    });
    target.shows<std::string>(
        "cache_hits", "Part of what the guest read that was here already.",
        [&slot] { return percent_text(slot.image(), slot.image().cache_hits); });
    target.shows<std::string>("fill", "Part of the image that needs its source no more.",
                              [&slot] { return percent_text(slot.image(), slot.image().fill); });
}

/// What becomes of the guest while it cannot be read.
void declare_outage(Target& target, MediaSlot& slot) {
    MediaSettings& settings = slot.settings();
    const auto follow = [&slot] { slot.follow_outage_policy(); };
    target.persistent<OnOutage>(
        settings.on_outage,
        {.name = "on_outage",
         .doc = "What becomes of a guest that reads while the image's source is away for more than "
                "20 seconds.",
         .write = media_roles,
         .changed = follow});
    target.persistent<std::int64_t>(
        settings.outage_timeout,
        {.name = "outage_timeout",
         .doc = "Longest time in seconds that 'wait' holds a guest in one outage; then it gets an "
                "I/O error. 0: for ever.",
         .write = media_roles,
         .check = check_outage_timeout,
         .changed = follow});
    target.shows<std::string>("unavailable_since", "Since when the image's source is away.",
                              [&slot] {
                                  const std::int64_t since = slot.image().since;
                                  return since == 0 ? std::string() : clock_text(since);
                              });
    target.shows<std::int64_t>("unavailable_tries",
                               "Attempts to reach the image's source since then.",
                               [&slot] { return static_cast<std::int64_t>(slot.image().tries); });
    target.shows<std::string>("last_error", "What the image's source failed with last.",
                              [&slot] { return slot.image().last_error; });
}

void declare_caches(Target& target, MediaSettings& settings) {
    declare_size(target, "cache_size",
                 "Most memory for what was read of the image; from the next insertion on.",
                 settings.cache_size, least_cache, most_cache, false);
    declare_size(target, "disk_cache_size",
                 "Most disk space for what was read of all images, kept for another time; from the "
                 "next insertion on. 0: none is kept.",
                 settings.disk_cache_size, least_cache, most_disk_cache, true);
}

void declare_force_eject(Target& target, MediaSlot& slot, Log& audit) {
    target.managed<bool>(
        {.name = "force_eject",
         .doc = "Set to true to take the image out of a tray that the guest has locked and "
                "does not open; its reads fail from then on.",
         .write = media_roles,
         .set = [&slot, &audit](const Caller& caller, bool force, const Property::Done& done) {
             const auto begun = force ? slot.force_eject() : Result<void>();
             if (!begun || !force)
                 return done(begun ? Result<SetOutcome>(SetOutcome{}) : begun.fault());
             apply(slot, audit, caller, "", done);
         }});
}

Target::Ptr media_slot_target(MediaSlot& slot, Log& audit) {
    auto target = Target::make(slot.device().target, slot.device().doc);
    declare_image(*target, slot, audit);
    show_figures(*target, slot);
    declare_outage(*target, slot);
    declare_caches(*target, slot.settings());
    target->shows<std::string>("confinement",
                               "What holds the program that reads the image, as the kernel says.",
                               [&slot] { return slot.image().confinement; });
    if (vmm::traits_of(slot.device().drive).has_tray)
        declare_force_eject(*target, slot, audit);
    target->child(remote_target(slot, audit));
    return target;
}

} // namespace

void add_media_devices(Target& kvms, const TargetContext& context) {
    for (const auto& slot : context.host.media()) {
        auto target = media_slot_target(*slot, context.audit);
        if (slot->device().drive == vmm::DriveId::cd)
            target->child(local_target(context.host));
        kvms.child(target);
    }
}

} // namespace lom
