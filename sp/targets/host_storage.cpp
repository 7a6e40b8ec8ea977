// /SP/services/kvms/host_storage_device: the remote image as the host's USB CD-ROM.
#include "kvms/media/uri.h"
#include "sp/targets/clock_text.h"
#include "sp/targets/size_type.h"
#include "sp/targets/targets.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace lom {

namespace {

constexpr std::int64_t longest_outage = 7 * 86400;
constexpr std::size_t longest_authorities = 48U << 10U;
constexpr std::uint64_t least_cache = 2U << 20U;
constexpr std::uint64_t most_cache = std::uint64_t{64} << 30U;
constexpr std::uint64_t most_disk_cache = std::uint64_t{16} << 40U;

Result<void> check_authorities(const std::string& pem) {
    if (pem.empty() ||
        (pem.size() <= longest_authorities && pem.starts_with("-----BEGIN CERTIFICATE-----")))
        return {};
    return Fault{FaultKind::invalid_value,
                 "Give certificates as PEM in one line, newlines as \\n: -----BEGIN "
                 "CERTIFICATE-----\\n..., at most 48 KiB."};
}

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

/// Follows the settings, and answers when the status has settled. The audit log gets one line with
/// who has put what into the drive, whichever of its properties did it.
void apply(const TargetContext& context, const Caller& caller, const Property::Done& done) {
    const HostSettings& settings = context.host.settings();
    if (*settings.storage_mode == StorageMode::remote && !settings.server_uri->empty())
        context.audit.append("Audit", "Log", "info",
                             caller.account + " from " + caller.source + ": insert " +
                                 *settings.server_uri);
    context.host.apply_storage([done] { done(SetOutcome{}); });
}

/// Forgets the host key of the server in server_URI and tries again.
void forget_host_key(ManagedHost& host, const Property::Done& done) {
    const auto uri = media::parse_image_uri(*host.settings().server_uri);
    if (!uri)
        return done(Fault{FaultKind::wrong_state, "Set server_URI first: it names the server."});
    if (const auto forgotten = host.forget_host_key(uri->host, uri->port); !forgotten)
        return done(forgotten.fault());
    host.apply_storage([done] { done(SetOutcome{}); });
}

Target::Ptr remote_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    auto target = Target::make("remote", "Where the remote image lies.");
    HostSettings& settings = host.settings();
    const Roles role = Role::admin | Role::console;
    const auto changed = [&host] { host.apply_storage_soon(); };
    target->managed<bool>({.name = "forget_host_key",
                           .doc = "Set to true when the image's server has a new SSH host key: the "
                                  "next one that it shows is remembered.",
                           .write = role,
                           .set = [&host](const Caller&, bool forget, const Property::Done& done) {
                               if (!forget)
                                   return done(SetOutcome{});
                               forget_host_key(host, done);
                           }});
    target->shows<std::string>("host_key_fingerprint",
                               "SSH host key of the image's server, remembered on first use.",
                               [&host] { return host.image().host_key_fingerprint; });
    target->persistent<std::string>(settings.image_password,
                                    {.name = "password",
                                     .doc = "Password of the account on the image's server.",
                                     .write = role,
                                     .secret = true,
                                     .changed = changed});
    target->managed<std::string>(
        {.name = "server_URI",
         .doc = "sshfs://HOST[:PORT]:/PATH/IMAGE.iso, or with https, http, nfs or smb "
                "(smb://HOST/SHARE/IMAGE.iso); empty: no image.",
         .write = role,
         .get = [&settings] { return *settings.server_uri; },
         .set =
             [context](const Caller& caller, const std::string& uri, const Property::Done& done) {
                 if (LocalImage::is_local(uri))
                     return done(
                         Fault{FaultKind::invalid_value,
                               "An image on one's own computer is inserted on the web page."});
                 if (const auto set = context.host.set_image(uri, caller.account, caller.roles);
                     !set)
                     return done(set.fault());
                 apply(context, caller, done);
             }});
    target->shows<std::string>("set_by", "The account that set server_URI.",
                               [&settings] { return *settings.image_set_by; });
    target->persistent<std::string>(settings.image_ssh_key,
                                    {.name = "ssh_key",
                                     .doc = "Private key for the account, in one line: newlines as "
                                            "\\n.",
                                     .write = role,
                                     .secret = true,
                                     .changed = changed});
    target->persistent<std::string>(
        settings.image_tls_ca,
        {.name = "tls_ca",
         .doc = "Certificates of the authorities that an https server is checked by: PEM in one "
                "line, newlines as \\n; empty: those of the service processor's machine.",
         .write = role,
         .check = check_authorities,
         .changed = changed});
    target->persistent<std::string>(
        settings.image_tls_pin,
        {.name = "tls_pin",
         .doc = "sha256//BASE64 of the public key that an https server must have, checked instead "
                "of authorities; empty: none.",
         .write = role,
         .check = check_pin,
         .changed = changed});
    target->persistent<std::string>(settings.image_username,
                                    {.name = "username",
                                     .doc = "Account on the image's server.",
                                     .write = role,
                                     .changed = changed});
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
void show_figures(Target& target, ManagedHost& host) {
    target.shows<std::string>(
        "cache_hits", "Part of what the guest read that was here already.",
        [&host] { return percent_text(host.image(), host.image().cache_hits); });
    target.shows<std::string>("fill", "Part of the image that needs its source no more.",
                              [&host] { return percent_text(host.image(), host.image().fill); });
    target.shows<std::string>(
        "latency", "Time that the source takes for its fastest answers.", [&host] {
            const std::uint64_t latency = host.image().latency;
            return latency == 0 ? std::string() : decimal_text(latency, 1000, "ms");
        });
    target.shows<std::string>("rate", "Read from the image's source each second, lately.", [&host] {
        return host.image().size == 0 ? std::string()
                                      : decimal_text(host.image().rate, 1U << 20U, "MB/s");
    });
}

} // namespace

Target::Ptr host_storage_target(const TargetContext& context) {
    ManagedHost& host = context.host;
    auto target =
        Target::make("host_storage_device", "A remote ISO image as the host's USB CD-ROM.");
    target->managed<StorageMode>(
        {.name = "mode",
         .doc = "remote: the image of the target 'remote' is in the drive.",
         .write = Role::admin | Role::console,
         .get = [&host] { return *host.settings().storage_mode; },
         .set =
             [context](const Caller& caller, StorageMode mode, const Property::Done& done) {
                 if (const auto set = context.host.settings().storage_mode.set(mode); !set)
                     return done(set.fault());
                 apply(context, caller, done);
             }});
    target->shows<std::string>("confinement",
                               "What holds the program that reads the image, as the kernel says.",
                               [&host] { return host.image().confinement; });
    const auto follow = [&host] { host.follow_outage_policy(); };
    target->persistent<OnOutage>(
        host.settings().on_outage,
        {.name = "on_outage",
         .doc = "What becomes of a guest that reads while the image's source is away for more than "
                "20 seconds.",
         .write = Role::admin | Role::console,
         .changed = follow});
    target->persistent<std::int64_t>(
        host.settings().outage_timeout,
        {.name = "outage_timeout",
         .doc = "Longest time in seconds that 'wait' holds a guest in one outage; then it gets an "
                "I/O error. 0: for ever.",
         .write = Role::admin | Role::console,
         .check = check_outage_timeout,
         .changed = follow});
    declare_size(*target, "cache_size",
                 "Most memory for what was read of the image; from the next insertion on.",
                 host.settings().image_cache, least_cache, most_cache, false);
    declare_size(*target, "disk_cache_size",
                 "Most disk space for what was read of all images, kept for another time; from the "
                 "next insertion on. 0: none is kept.",
                 host.settings().disk_cache, least_cache, most_disk_cache, true);
    show_figures(*target, host);
    target->shows<std::string>("last_error", "What the image's source failed with last.",
                               [&host] { return host.image().last_error; });
    target->shows<std::string>("size", "Size of the image.",
                               [&host] { return size_text(host.image().size); });
    target->shows<std::string>("status", "operational, or why not.",
                               [&host] { return host.storage_status(); });
    target->shows<std::string>("status_detail", "The status in a sentence.",
                               [&host] { return host.storage_detail(); });
    target->shows<std::string>("unavailable_since", "Since when the image's source is away.",
                               [&host] {
                                   const std::int64_t since = host.image().since;
                                   return since == 0 ? std::string() : clock_text(since);
                               });
    target->shows<std::int64_t>("unavailable_tries",
                                "Attempts to reach the image's source since then.",
                                [&host] { return static_cast<std::int64_t>(host.image().tries); });
    target->shows<std::string>("volume_id", "Volume id of the image.",
                               [&host] { return host.image().volume_id; });
    target->shows<std::int64_t>(
        "bytes_read", "Bytes read from the image's source so far.",
        [&host] { return static_cast<std::int64_t>(host.image().bytes_read); });
    target->child(local_target(host));
    target->child(remote_target(context));
    return target;
}

} // namespace lom
