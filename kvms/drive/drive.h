// lomd's side of one remote image: starts lom-media, watches its control socket, and adopts the one
// an earlier lomd started. It knows nothing of hosts or of the tree. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "base/stream.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lom::kvms {

struct DriveStatus {
    std::string status = "disabled"; ///< lom-media's words, or "disabled", "starting", "failed"
    std::string detail;              ///< a sentence
    std::uint64_t size = 0;          ///< bytes
    std::uint64_t bytes_read = 0;    ///< from the server
    std::uint64_t rate = 0;          ///< bytes a second from there, lately
    std::uint64_t latency = 0;       ///< microseconds of its fastest replies lately; 0: unknown
    std::uint64_t cache_hits = 0;    ///< percent of the bytes that the guest read
    std::uint64_t fill = 0;          ///< percent of the image that is here
    std::string volume_id;
    std::string host_key_fingerprint;
    std::string confinement; ///< what holds of lom-media's
    std::string identity;    ///< of the image: another image has another one
    std::string last_error;  ///< of the source, also when that is over
    std::int64_t since = 0;  ///< when the source went away, seconds since 1970; 0: it is there
    std::uint64_t tries = 0; ///< to reach it since then
    bool holding = true;     ///< a read that cannot be served now holds the guest
    bool operational() const { return status == "operational"; }
    /// Still on its way to the first answer.
    bool pending() const { return status == "starting" || status == "connecting"; }
};

struct ImageCredentials {
    std::string username;
    std::string password;
    std::string ssh_key; ///< private key text
};

/// What lom-media is told besides.
struct DriveSettings {
    std::string tls_ca;               ///< PEM text; empty: the machine's authorities
    std::string tls_pin;              ///< "sha256//BASE64"; empty: none
    std::vector<std::string> options; ///< of lom-media: the policy
    std::uint64_t cache_bytes = std::uint64_t{256} << 20U;
    std::uint64_t disk_cache_bytes = 0; ///< of all images together; 0: none
};

/// What becomes of a guest that reads while the source is away.
struct OutagePolicy {
    bool wait = true;              ///< it is held; else it gets an I/O error
    std::chrono::seconds limit{0}; ///< but not longer than that; 0: for ever
};

struct DrivePaths {
    std::string program;     ///< lom-media
    std::string folder;      ///< R/hosts/<name>/media0: image file, control socket
    std::string record;      ///< D/hosts/<name>/media0.json: what runs, for adoption
    std::string log;         ///< its standard error
    std::string known_hosts; ///< D/known_hosts
    std::string disk_cache;  ///< D/media-cache
};

class Drive {
  public:
    Drive(Loop& loop, DrivePaths paths, std::function<void()> changed);
    ~Drive(); ///< leaves lom-media running

    /// Serves `uri` from now on. A lom-media that already serves it (all the same, started by
    /// an earlier lomd) is adopted, any other one is ended first.
    void open(const std::string& uri, const ImageCredentials& credentials,
              const DriveSettings& settings);
    /// Ends lom-media; reads still waiting fail at once.
    void close();
    /// From now on. status().holding follows.
    void set_outage_policy(const OutagePolicy& policy);
    /// Forgets the SSH host key of an image's server; the next one it shows is remembered.
    Result<void> forget_host_key(std::string host, std::uint16_t port);
    /// Where the bytes of a browser: image are asked for (kvms/media/sources/browser_source.h).
    Result<UniqueFd> connect_feed() const;
    bool wanted() const { return !uri_.empty(); }
    const DriveStatus& status() const { return status_; }
    /// Its lom-media was started by an earlier lomd.
    bool adopted() const { return adopted_; }
    const std::string& image_file() const { return image_file_; }

  private:
    struct Record {
        ProcessId process; ///< pid 0: was to be started
        std::string serves;
        bool found = false;
    };
    Record load_record() const;
    void save_record(const ProcessId& process) const;
    void start();
    void take_over();
    void take_over(const ProcessId& running, const std::string& serves);
    void end(const ProcessId& process);
    void watch_process();
    std::string authorities_file() const;
    std::vector<std::string> arguments() const;
    void connect_control();
    void on_line(const std::string& line);
    void set_status(const std::string& status, const std::string& detail);
    void note_outage();
    bool to_be_held() const;
    void follow_policy();
    std::string fingerprint() const;

    Loop& loop_;
    DrivePaths paths_;
    std::function<void()> changed_;
    std::string image_file_;
    std::string uri_;
    ImageCredentials credentials_;
    DriveStatus status_;
    DriveSettings settings_;
    OutagePolicy policy_;
    std::int64_t away_since_ = 0; ///< as status_.since, over the life of several lom-media
    std::optional<bool> told_;    ///< lom-media: to hold readers
    Loop::Handle limit_timer_;
    std::optional<ProcessId> process_;
    bool adopted_ = false;
    Loop::Handle exit_watch_;
    Loop::Handle retry_;
    Loop::Handle connect_timer_;
    std::chrono::steady_clock::time_point straggler_deadline_;
    std::chrono::steady_clock::time_point connect_deadline_; ///< zero: no attempt is under way
    std::unique_ptr<Stream> control_;
    std::string line_;
    struct Ending {
        Loop::Handle exit_watch;
        Loop::Handle kill_timer;
    };
    std::shared_ptr<Ending> ending_; ///< the last one, until it is gone
};

} // namespace lom::kvms
