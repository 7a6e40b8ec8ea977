// One device of a host that takes an image: its settings, where the image comes from (lom-media or
// the library), and the steps that bring it before the guest and take it away again. One image
// after the other: the next one is opened when the guest has given the last one back. Loop thread
// only.
#pragma once

#include "base/loop.h"
#include "kvms/drive/drive.h"
#include "kvms/library/library.h"
#include "sp/service/image_policy.h"
#include "sp/service/paths.h"
#include "sp/state/log.h"
#include "sp/tree/settings.h"
#include "vmm/host.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom {

enum class StorageMode { disabled, remote };
template <>
struct Names<StorageMode> {
    static constexpr const char* all[] = {"disabled", "remote"};
    static constexpr const char* docs[] = {"The host's drive is empty.",
                                           "The image that 'remote' names is in the drive."};
};

/// What becomes of a guest whose image cannot be read now.
enum class OnOutage { wait, report };
template <>
struct Names<OnOutage> {
    static constexpr const char* all[] = {"wait", "report"};
    static constexpr const char* docs[] = {"It is held, and goes on when the source is back.",
                                           "It gets an I/O error."};
};

/// What tells a host's devices for images apart.
struct MediaDevice {
    vmm::DriveId drive;
    const char* target; ///< below /SP/services/kvms
    const char* doc;
    const char* settings;   ///< in front of their names
    const char* folder;     ///< of lom-media's files
    bool can_write = false; ///< an image of the library, when that is wanted
};
inline constexpr vmm::PerDrive<MediaDevice> media_devices = {{
    {vmm::DriveId::cd, "host_storage_device", "An ISO image as the host's USB CD-ROM.", "storage/",
     "media0"},
    {vmm::DriveId::cd2, "host_storage_device2", "An ISO image as the host's second USB CD-ROM.",
     "storage2/", "media1"},
    {vmm::DriveId::usb_disk, "host_usb_device", "A disk image as the host's USB disk.", "usb/",
     "media2", true},
}};

struct MediaSettings {
    MediaSettings(Settings& store, const std::string& prefix);

    Setting<StorageMode> mode;
    Setting<std::string> server_uri;
    Setting<std::string> username;
    Setting<std::string> password;
    Setting<std::string> ssh_key;
    Setting<std::string> tls_ca;
    Setting<std::string> tls_pin;
    Setting<std::string> set_by;           ///< the account that set server_uri, and ...
    Setting<std::string> set_by_roles;     ///< ... its roles then
    Setting<std::int64_t> cache_size;      ///< bytes in memory
    Setting<std::int64_t> disk_cache_size; ///< bytes on disk, all images together; 0: none
    Setting<bool> writable;
    Setting<OnOutage> on_outage;
    Setting<std::int64_t> outage_timeout; ///< seconds; 0: none
    Setting<std::string> identity;        ///< of the image in the drive
};

class MediaSlot {
  public:
    struct Place {
        const Paths& paths;
        std::string host; ///< its name
        Settings& store;
        Log& events;
        kvms::Library& library;
        const ImagePolicySettings& policy;
        std::optional<uid_t> writer; ///< QEMU's user
    };
    /// `changed`: something that show would print.
    MediaSlot(Loop& loop, const MediaDevice& device, const Place& place,
              std::function<void()> changed);
    MediaSlot(const MediaSlot&) = delete;
    MediaSlot& operator=(const MediaSlot&) = delete;

    /// The host is there: follows the settings for the first time.
    void open(vmm::Host& host);

    const MediaDevice& device() const { return device_; }
    MediaSettings& settings() { return settings_; }
    /// What `status` says, and the sentence behind it.
    std::string status() const;
    std::string detail() const;
    const kvms::DriveStatus& image() const;
    /// Worth somebody's attention.
    bool in_trouble() const;
    /// A name in the library if that is where the URI points, else empty.
    static std::string library_name(const std::string& uri);

    /// A sentence while the image that the settings want may still come; else empty.
    std::string on_its_way() const;
    /// lom-media's connection to whoever feeds it with an image of his own.
    auto connect_feed() { return drive_.connect_feed(); }
    /// As if it had been set in the tree; empty: ejected.
    Result<void> insert_local(const std::string& uri, const std::string& account, Roles roles);
    std::string wanted_uri() const { return wanted().uri; }
    /// server_URI, as somebody sets it.
    Result<void> set_image(const std::string& uri, const std::string& account, Roles roles);

    /// Follows the settings now; `done` when the status has settled, after 10 s at most, with what
    /// is still waited for, or nothing.
    void apply(std::function<void(const std::string& waits_for)> done);
    /// Follows the settings soon: several may change in a row.
    void apply_soon();
    /// Follows on_outage and outage_timeout.
    void follow_outage_policy();
    Result<void> forget_host_key(const std::string& host, std::uint16_t port) {
        return drive_.forget_host_key(host, port);
    }
    /// Takes the image out of a tray that the guest has locked.
    Result<void> force_eject();
    void on_host_changed();
    /// Images have come or gone.
    void on_library_changed();

  private:
    struct Choice {
        std::string uri; ///< empty: none
        bool writable = false;
        bool operator==(const Choice&) const = default;
    };
    struct Waiter {
        std::function<void(const std::string&)> done;
        Loop::Handle limit;
    };

    Choice wanted() const;
    bool from_library() const { return !library_name(current_.uri).empty(); }
    void follow();
    void leave();
    void eject(bool at_once);
    void left();
    void serve();
    Roles roles_of_image() const;
    void serve_from_library();
    void on_drive_changed();
    void insert();
    bool inserted_is_another() const;
    void log_status();
    void log_event(const char* kind, const char* severity, const std::string& text);
    void answer_waiters();
    std::string waits_for() const;

    Loop& loop_;
    const MediaDevice& device_;
    MediaSettings settings_;
    Log& events_;
    kvms::Library& library_;
    const ImagePolicySettings& policy_;
    const std::string user_; ///< as the library lists it
    const std::optional<uid_t> writer_;
    std::function<void()> changed_;
    kvms::Drive drive_;
    kvms::DriveStatus library_image_;
    vmm::Host* host_ = nullptr;
    Choice current_;            ///< what is served, or still before the guest
    std::string served_uri_;    ///< the last one
    bool before_guest_ = false; ///< the host was told to insert it
    bool inserted_ = false;     ///< and has done so
    bool leaving_ = false;      ///< the guest is asked to give the image back
    bool told_locked_ = false;  ///< that it has locked the tray meanwhile
    unsigned turn_ = 0;         ///< answers to earlier turns' requests do not count
    bool ejected_by_guest_ = false;
    std::string problem_;
    std::string last_status_;
    bool told_ = false; ///< of the status, by this lomd
    std::int64_t outage_began_ = 0;
    std::uint64_t outage_tries_ = 0;
    Loop::Handle soon_;
    std::vector<std::shared_ptr<Waiter>> waiters_;
};

} // namespace lom
