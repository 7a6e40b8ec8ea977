#include "sp/service/web_certificate.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "base/process.h"
#include "sp/service/ssh_door.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace json = boost::json;

namespace lom {

namespace {

constexpr int pem_number = 4;
constexpr int facts_number = 7;
constexpr std::size_t longest_pem = 64U << 10U;

} // namespace

/// The reading end of a pipe that holds `text` and then ends; it must fit a pipe's 64 KiB.
Result<UniqueFd> pipe_with(const std::string& text) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    UniqueFd read_end(ends[0]);
    const UniqueFd write_end(ends[1]);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    if (write(ends[1], text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return Fault{FaultKind::invalid_value, "The certificate is longer than 64 KiB."};
    return read_end;
}

WebCertificate::WebCertificate(Loop& loop, Paths paths, std::function<void()> changed)
    : loop_(loop), paths_(std::move(paths)), changed_(std::move(changed)) {}

bool WebCertificate::is_custom() const { return access(custom_pem().c_str(), F_OK) == 0; }

Result<void> WebCertificate::make(const std::string& hostname, const std::string& address) const {
    if (access(own_pem().c_str(), F_OK) == 0)
        return {};
    const auto process = spawn({.argv = {paths_.programs + "/lom-web", "--generate-certificate",
                                         own_pem(), "--name", hostname, "--name", address},
                                .new_session = false});
    if (!process)
        return process.fault();
    int status = 0;
    waitpid(process->pid, &status, 0); // once, before the loop runs
    if (status != 0)
        return Fault{FaultKind::internal,
                     "The HTTPS certificate cannot be made at " + own_pem() + "."};
    return {};
}

UniqueFd WebCertificate::pem() const {
    return UniqueFd(::open((is_custom() ? custom_pem() : own_pem()).c_str(), O_RDONLY | O_CLOEXEC));
}

struct WebCertificate::Inspection {
    UniqueFd answer;
    Loop::Handle exit;
};

/// Lets a lom-web without rights look at it: what it prints are the facts, or the complaint.
void WebCertificate::inspect(UniqueFd pem, std::function<void(Result<CertificateFacts>)> done) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return done(Fault{FaultKind::internal, "Too many open files."});
    auto inspection = std::make_shared<Inspection>();
    inspection->answer.reset(ends[0]);
    const UniqueFd write_end(ends[1]);
    const UniqueFd programs(::open(paths_.programs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    SpawnOptions options;
    options.argv = {"lom-web", "--pem-fd", std::to_string(pem_number), "--facts-fd",
                    std::to_string(facts_number)};
    options.program_folder = programs.get();
    options.fds = {{pem.get(), pem_number}, {write_end.get(), facts_number}};
    run_as_nobody(options);
    const auto process = spawn(options);
    if (!process)
        return done(process.fault());
    inspection->exit = loop_.on_exit(
        process->pid, [this, weak = std::weak_ptr(inspection), done = std::move(done)](int status) {
            const auto self = weak.lock();
            std::erase(inspections_, self);
            std::string text(longest_pem, '\0');
            const ssize_t count = read(self->answer.get(), text.data(), text.size());
            text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
            boost::system::error_code error;
            const json::value value = json::parse(text, error);
            if (status != 0 || error || !value.is_object())
                return done(Fault{FaultKind::invalid_value,
                                  text.empty() ? "The certificate cannot be checked." : text});
            const json::object& facts = value.get_object();
            done(CertificateFacts{fields::text(facts, "subject"), fields::text(facts, "issuer"),
                                  fields::text(facts, "names"), fields::text(facts, "valid_from"),
                                  fields::text(facts, "valid_until"),
                                  fields::text(facts, "fingerprint")});
        });
    inspections_.push_back(std::move(inspection));
}

void WebCertificate::inspect_current() {
    inspect(pem(), [this](Result<CertificateFacts> facts) {
        if (facts)
            facts_ = std::move(*facts);
    });
}

void WebCertificate::load(const std::string& pem, Done done) {
    auto pipe = pipe_with(pem);
    if (!pipe)
        return done(pipe.fault());
    inspect(std::move(*pipe), [this, pem, done = std::move(done)](Result<CertificateFacts> facts) {
        if (!facts)
            return done(facts.fault());
        if (const auto written = write_file_durably(custom_pem(), pem, 0600); !written)
            return done(written.fault());
        facts_ = std::move(*facts);
        changed_();
        done({});
    });
}

Result<void> WebCertificate::clear() {
    if (is_custom()) {
        unlink(custom_pem().c_str());
        inspect_current();
        changed_();
    }
    return {};
}

} // namespace lom
