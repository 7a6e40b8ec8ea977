// lomd's side of one remote image: starts lom-media, watches its control socket, and adopts the one
// an earlier lomd started. It knows nothing of hosts or of the tree. Loop thread only.
#pragma once

#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "base/stream.h"

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
    std::string volume_id;
    std::string host_key_fingerprint;
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
};

struct DrivePaths {
    std::string program;     ///< lom-media
    std::string folder;      ///< R/hosts/<name>/media0: image file, control socket
    std::string record;      ///< D/hosts/<name>/media0.json: what runs, for adoption
    std::string log;         ///< its standard error
    std::string known_hosts; ///< D/known_hosts
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
    /// Forgets the SSH host key of an image's server; the next one it shows is remembered.
    Result<void> forget_host_key(std::string host, std::uint16_t port);
    bool wanted() const { return !uri_.empty(); }
    const DriveStatus& status() const { return status_; }
    const std::string& image_file() const { return image_file_; }

  private:
    void start();
    bool adopt();
    void end(const ProcessId& process);
    void watch_process();
    std::string authorities_file() const;
    std::vector<std::string> arguments() const;
    void connect_control();
    void on_line(const std::string& line);
    void set_status(const std::string& status, const std::string& detail);
    std::string fingerprint() const;

    Loop& loop_;
    DrivePaths paths_;
    std::function<void()> changed_;
    std::string image_file_;
    std::string uri_;
    ImageCredentials credentials_;
    DriveSettings settings_;
    DriveStatus status_;
    std::optional<ProcessId> process_;
    Loop::Handle exit_watch_;
    Loop::Handle retry_;
    Loop::Handle connect_timer_;
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
