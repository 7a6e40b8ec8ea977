// HTTPS: opens the listening socket and keeps one lom-web running on it, which has no rights and
// speaks TLS and HTTP; lomd reads no byte from the network. A lom-web outlives a killed lomd and is
// adopted by the next one. Loop thread only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"
#include "sp/service/managed_host.h"
#include "sp/service/web_certificate.h"
#include "sp/state/log.h"
#include "sp/tree/settings.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lom {

class WebDoor {
  public:
    WebDoor(Loop& loop, Paths paths, Settings& store, Log& events);
    ~WebDoor(); ///< ends lom-web: sessions go on with the next one

    struct Start {
        std::string address;
        std::uint16_t port = 0;      ///< 0: any free one
        std::uint16_t preferred = 0; ///< tried first then
        std::string hostname;        ///< for the first certificate
    };
    /// Makes the certificate if there is none, adopts or starts lom-web.
    Result<void> open(Start start);
    /// 0: not listening.
    std::uint16_t port() const { return listening_ ? port_ : 0; }
    /// Whether a control connection that says so comes from our lom-web.
    bool is_ticket(const std::string& ticket) const;

    // -- what the tree shows and sets

    Switch service_state() const { return *state_; }
    Result<void> set_service_state(Switch state);
    std::int64_t wanted_port() const { return *port_setting_ != 0 ? *port_setting_ : port_; }
    Result<void> set_port(std::int64_t port);
    std::int64_t session_minutes() const { return *session_minutes_; }
    Result<void> set_session_minutes(std::int64_t minutes);
    /// Whoever is logged in stays so when it is changed.
    WebCertificate& certificate() { return certificate_; }

  private:
    std::string record_path() const { return paths_.run_dir + "/web.json"; }

    bool adopt();
    Result<void> listen(std::uint16_t port);
    Result<void> spawn_web();
    void on_web_exit();
    void restart_soon();
    void end_web();
    void retire_web();
    void write_record() const;

    Loop& loop_;
    Paths paths_;
    Log& events_;
    Setting<Switch> state_;
    Setting<std::int64_t> port_setting_; ///< 0: as the flag says
    Setting<std::int64_t> session_minutes_;
    Start start_;
    UniqueFd listener_; ///< absent while an adopted lom-web has the only one
    bool listening_ = false;
    std::uint16_t port_ = 0;
    std::string ticket_;
    ProcessId web_;
    std::chrono::steady_clock::time_point started_;
    Loop::Handle exit_watch_;
    Loop::Handle again_;
    WebCertificate certificate_;
    struct Retired;
    std::vector<std::shared_ptr<Retired>> retired_; ///< finish what they were asked, then end
};

} // namespace lom
