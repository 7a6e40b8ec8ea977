// The certificate of HTTPS: its own one, made at first start, or one that people brought, looked at
// by a lom-web without rights before it is put in place (OpenSSL is in lom-web only). Loop thread
// only.
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "sp/service/paths.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lom {

/// What lom-web found in a certificate; `show` prints it.
struct CertificateFacts {
    std::string subject;
    std::string issuer;
    std::string names; ///< subject alternative names
    std::string valid_from;
    std::string valid_until;
    std::string fingerprint; ///< SHA-256
};

/// The reading end of a pipe that holds `text` and then ends; it must fit a pipe's 64 KiB.
Result<UniqueFd> pipe_with(const std::string& text);

class WebCertificate {
  public:
    /// `changed`: another one is in place, to be served from now on.
    WebCertificate(Loop& loop, Paths paths, std::function<void()> changed);

    /// Makes our own if there is none. Waits; once, before the loop runs.
    Result<void> make(const std::string& hostname, const std::string& address) const;
    /// Looks at the one in place, for facts().
    void inspect_current();
    /// Chain and key, as lom-web takes them.
    UniqueFd pem() const;

    using Done = std::function<void(Result<void>)>;
    bool is_custom() const;
    const CertificateFacts& facts() const { return facts_; }
    /// PEM: the chain, our own certificate first, and its private key. Checked, then put in place.
    void load(const std::string& pem, Done done);
    /// Our own again.
    Result<void> clear();

  private:
    struct Inspection;
    std::string own_pem() const { return paths_.state_dir + "/https_default.pem"; }
    std::string custom_pem() const { return paths_.state_dir + "/https_custom.pem"; }
    void inspect(UniqueFd pem, std::function<void(Result<CertificateFacts>)> done);

    Loop& loop_;
    Paths paths_;
    std::function<void()> changed_;
    CertificateFacts facts_;
    std::vector<std::shared_ptr<Inspection>> inspections_;
};

} // namespace lom
