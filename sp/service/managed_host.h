// One host with everything the service processor adds to it: console, remote image, settings. The
// glue between vmm, kvms and the tree. Loop thread only.
#pragma once

#include "base/loop.h"
#include "kvms/console/console.h"
#include "kvms/drive/drive.h"
#include "kvms/screen/screen.h"
#include "sp/service/image_policy.h"
#include "sp/service/local_image.h"
#include "sp/service/seat_request.h"
#include "sp/service/vnc_door.h"
#include "sp/state/log.h"
#include "sp/tree/roles.h"
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
    static constexpr const char* docs[] = {"The host's CD drive is empty.",
                                           "The image that 'remote' names is in the drive."};
};

/// What becomes of a guest whose image cannot be read now.
enum class OnOutage { wait, report };
template <>
struct Names<OnOutage> {
    static constexpr const char* all[] = {"wait", "report"};
    static constexpr const char* docs[] = {"It is held until the image can be read again.",
                                           "It gets an I/O error."};
};

enum class ScreenAccess { view, control };
template <>
struct Names<ScreenAccess> {
    static constexpr const char* all[] = {"view", "control"};
    static constexpr const char* docs[] = {"Viewers see the screen only.",
                                           "Viewers may type and use the mouse."};
};

/// What happens to a host whose guest cannot go on.
enum class AutoRestart { none, reset };
template <>
struct Names<AutoRestart> {
    static constexpr const char* all[] = {"none", "reset"};
    static constexpr const char* docs[] = {"It is left for you to look at.", "It is reset."};
};

enum class HistoryStart { end, beginning };
template <>
struct Names<HistoryStart> {
    static constexpr const char* all[] = {"end", "beginning"};
    static constexpr const char* docs[] = {"The last lines.", "The first lines."};
};

/// Something that is wrong now.
struct Problem {
    std::int64_t since = 0; ///< seconds since 1970
    std::string subsystem;
    std::string text;
};

/// Where things lie; the same for all hosts.
struct Paths {
    std::string state_dir;                    ///< D
    std::string run_dir;                      ///< R
    std::string programs;                     ///< folder of lom, lom-ssh, lom-media, lom-kvm
    std::string listen_address = "127.0.0.1"; ///< of the doors
    std::string host_state(const std::string& host) const { return state_dir + "/hosts/" + host; }
    std::string host_run(const std::string& host) const { return run_dir + "/hosts/" + host; }
};

/// Settings below /HOST and /SP/services/kvms that belong to one host.
struct HostSettings {
    HostSettings(Settings& store, const std::string& prefix);

    Setting<StorageMode> storage_mode;
    Setting<std::string> server_uri;
    Setting<std::string> image_username;
    Setting<std::string> image_password;
    Setting<std::string> image_ssh_key;
    Setting<std::string> image_tls_ca;
    Setting<std::string> image_tls_pin;
    Setting<std::string> image_set_by; ///< the account that set server_uri, and ...
    Setting<std::string> image_roles;  ///< ... its roles then
    Setting<std::int64_t> image_cache; ///< bytes in memory
    Setting<std::int64_t> disk_cache;  ///< bytes on disk, all images together; 0: none
    Setting<OnOutage> on_outage;
    Setting<std::int64_t> outage_timeout; ///< seconds; 0: none
    Setting<std::string> image_identity;  ///< of the image in the drive
    Setting<std::string> escapechars;
    Setting<std::int64_t> line_count;
    Setting<HistoryStart> start_from;
    Setting<std::int64_t> pause_count;
    Setting<Switch> logging;
    Setting<std::int64_t> logged_from; ///< offset where logging was switched on last
    Setting<std::int64_t> booted_at;   ///< offset where the last power-on or reset began
    Setting<AutoRestart> autorestart;
    Setting<Switch> locator;
    Setting<Switch> kvms_state;
    Setting<Switch> clipboard_typing;
    Setting<std::string> keyboard_layout;
    Setting<Switch> vnc_state;
    Setting<std::int64_t> vnc_port;
    Setting<std::string> vnc_password;
    Setting<ScreenAccess> vnc_access;
    Setting<Switch> sharing; ///< of the console
};

class ManagedHost {
  public:
    static Result<std::unique_ptr<ManagedHost>> open(Loop& loop, const Paths& paths,
                                                     Settings& store, Log& events,
                                                     const ImagePolicySettings& policy,
                                                     vmm::HostEnvironment environment,
                                                     const vmm::HostDefinition& initial);

    /// Calls `listener` when something that show of the host, its drive, console or screen would
    /// print has changed.
    enum class Part { host, drive, console, screen };
    void on_change(std::function<void(Part)> listener) { listener_ = std::move(listener); }

    vmm::Host& host() { return *host_; }
    kvms::Console& console() { return *console_; }
    kvms::Screen& screen() { return screen_; }
    HostSettings& settings() { return settings_; }

    // -- who is there

    SeatRequest& console_seat() { return console_seat_; }
    SeatRequest& screen_seat() { return screen_seat_; }
    /// Its screens and its image end; its serial consoles are cut by the door, which says why.
    void end_session(const std::string& session);
    /// What it may not do any more ends now: typing, or looking too.
    void follow_roles(const std::string& session, Roles roles);

    /// The image on somebody's own computer.
    LocalImage& local_image() { return local_image_; }

    // -- the screen's keyboard

    /// Follows keyboard_layout and clipboard_typing.
    void apply_keyboard();
    /// `\\n` in the text is Enter.
    Result<void> type_text(const std::string& text);

    /// Opens or closes the listening VNC port as the settings want it; closes its connections.
    Result<void> apply_vnc();
    void follow_vnc(); ///< the same; what goes wrong is an event

    // -- the remote image

    /// What `status` of host_storage_device says, and the sentence behind it.
    std::string storage_status() const;
    std::string storage_detail() const;
    /// A sentence while the image that the settings want may still come; else empty.
    std::string image_on_its_way() const;
    const kvms::DriveStatus& image() const { return drive_.status(); }
    Result<void> forget_host_key(const std::string& host, std::uint16_t port) {
        return drive_.forget_host_key(host, port);
    }
    Result<void> set_image(const std::string& uri, const std::string& account, Roles roles);
    /// Follows the settings now; `done` when the status has settled, after 10 s at most.
    void apply_storage(std::function<void()> done);
    /// Follows on_outage and outage_timeout.
    void follow_outage_policy();
    /// Follows the settings soon: several may change in a row.
    void apply_storage_soon();

    /// What needs attention: a guest that has stopped, an image that cannot be read.
    std::vector<Problem> problems() const;
    /// After the locator was set.
    void show_locator() {
        tell(Part::host);
        show_on_screen();
    }
    /// Console history as line_count and start_from ask for it.
    Result<std::string> history() const;
    /// All that is kept, from the first byte on.
    Result<std::string> whole_log() const;
    /// What the console printed since the last power-on or reset.
    Result<std::string> boot_log() const;
    /// Resets a guest that cannot go on, if autorestart says so.
    void restart_crashed();
    /// After `logging` was set.
    Result<void> follow_logging();

  private:
    ManagedHost(Loop& loop, const Paths& paths, Settings& store, Log& events,
                const ImagePolicySettings& policy, const std::string& name);
    Result<void> open_parts(const Paths& paths, vmm::HostEnvironment environment,
                            const vmm::HostDefinition& initial);
    void follow_drive();
    std::string inserted_uri() const;
    Result<void> insert_local(const LocalImage::Request& request, const std::string& uri);
    Roles roles_of_image() const;
    void on_drive_changed();
    void on_host_changed();
    void note_boot();
    void follow_problems();
    Result<std::string> logged(std::uint64_t from, std::uint64_t limit) const;
    void show_on_screen();
    void welcome_vnc(UniqueFd socket, const std::string& address);
    void insert_image();
    void eject_image(bool also_of_earlier_lomd);
    void log_event(const vmm::HostEvent& event);
    void log_image_status();
    bool inserted_is_another() const;

    void tell(Part part) const {
        if (listener_)
            listener_(part);
    }

    Loop& loop_;
    std::function<void(Part)> listener_;
    Log& events_;
    const ImagePolicySettings& policy_;
    HostSettings settings_;
    kvms::Drive drive_;
    kvms::Screen screen_;
    VncDoor vnc_;
    std::string listen_address_;
    std::unique_ptr<kvms::Console> console_;
    LocalImage local_image_;
    SeatRequest console_seat_;
    SeatRequest screen_seat_;
    std::unique_ptr<vmm::Host> host_;
    bool followed_ = false; ///< the settings, since this lomd began
    bool inserted_ = false; ///< the host was told to have the image in its drive
    std::string medium_problem_;
    std::string last_status_;
    bool image_status_told_ = false; ///< by this lomd
    std::int64_t outage_began_ = 0;
    std::uint64_t outage_tries_ = 0;
    std::optional<vmm::HostStatus> host_status_; ///< before the last change; absent: just opened
    Loop::Handle restart_soon_;
    std::vector<Problem> problems_;
    std::string last_event_; ///< with its time, for who looks at a host that is off
    Loop::Handle soon_;
    struct Waiter {
        std::function<void()> done;
        Loop::Handle limit;
    };
    std::vector<std::shared_ptr<Waiter>> waiters_;
};

} // namespace lom
