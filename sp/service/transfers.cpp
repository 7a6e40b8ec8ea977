#include "sp/service/transfers.h"

#include "base/process.h"
#include "base/stream.h"
#include "sp/service/one_line.h"

#include <boost/json.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace lom {

namespace json = boost::json;
using namespace std::chrono_literals;

namespace {

constexpr auto time_limit = 10min;
constexpr auto quiet_limit = 2min; // of a download, which may take long
constexpr std::string_view size_word = "size ";
constexpr int usage_status = 2;                 ///< lom-media's, for a URI that cannot be
constexpr std::size_t most_words = 4096;        ///< of what lom-media says on stderr
constexpr std::size_t most_secret = 32U << 10U; ///< what the socket takes without waiting

struct Pipe {
    UniqueFd read, write;
};

/// A socket pair: Stream reads and writes sockets only.
Result<Pipe> make_pipe() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return Fault{FaultKind::internal, "Too many open files."};
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// A file of no folder, for lom-media to open as /dev/fd/N.
Result<UniqueFd> memory_file(const std::string& content) {
    UniqueFd fd(memfd_create("openlom", MFD_CLOEXEC));
    if (!fd ||
        write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        return Fault{FaultKind::internal, "There is no memory for the authorities."};
    return fd;
}

/// "size 4711", which it says first; 0: not yet.
std::uint64_t size_of(const std::string& words) {
    return words.starts_with(size_word) && words.find('\n') != std::string::npos
               ? std::strtoull(words.c_str() + size_word.size(), nullptr, 10)
               : 0;
}

/// "lom-media: login refused: SENTENCE" without the program's name.
std::string reason_of(std::string words) {
    if (words.starts_with(size_word))
        words.erase(0, words.find('\n') + 1);
    words = words.substr(0, words.find('\n'));
    const std::string name = "lom-media: ";
    return words.starts_with(name) ? words.substr(name.size()) : words;
}

} // namespace

struct Transfers::Run {
    ProcessId process;
    UniqueFd input_end; ///< of lom-media's stdin
    std::unique_ptr<Stream> input, output, words;
    UniqueFd output_end, words_end;
    Loop::Handle exit, limit;
    std::size_t most = 0;
    std::string content, said;
    std::optional<int> status;
    int open_ends = 2; ///< of output and words
};

Transfers::Transfers(Loop& loop, const Paths& paths, const ImagePolicySettings& policy)
    : loop_(loop), program_(paths.programs + "/lom-media"),
      known_hosts_(paths.state_dir + "/known_hosts"), policy_(policy) {}

Transfers::~Transfers() {
    for (const auto& run : runs_)
        send_signal(run->process, SIGKILL);
}

Result<std::shared_ptr<Transfers::Run>>
Transfers::begin(const Remote& remote, const char* direction, std::uint64_t most, int to) {
    if (runs_.size() >= most_at_once)
        return Fault{FaultKind::busy, "Too many files are on their way; try again soon."};
    if (const auto allowed = policy_.check(remote.uri, remote.roles); !allowed)
        return allowed.fault();
    std::array<Pipe, 4> pipes; // stdin, stdout, stderr, credentials
    for (Pipe& pipe : pipes) {
        auto made = make_pipe();
        if (!made)
            return made.fault();
        pipe = std::move(*made);
    }
    const std::string secret = json::serialize(json::object{{"password", remote.password}});
    if (secret.size() > most_secret ||
        write(pipes[3].write.get(), secret.data(), secret.size()) < 0)
        return Fault{FaultKind::invalid_value, "The password is too long."};
    pipes[3].write.reset();
    std::vector<std::string> argv{
        program_, remote.uri,      direction,    "--tell-size", "--credentials-fd",
        "3",      "--known-hosts", known_hosts_, "--max-bytes", std::to_string(most)};
    for (std::string& option : policy_.options(remote.roles))
        argv.push_back(std::move(option));
    SpawnOptions options{.argv = std::move(argv),
                         .fds = {{pipes[0].read.get(), 0},
                                 {to < 0 ? pipes[1].write.get() : to, 1},
                                 {pipes[2].write.get(), 2},
                                 {pipes[3].read.get(), 3}}};
    UniqueFd authorities;
    if (!policy_.tls_ca->empty()) {
        auto file = memory_file(with_newlines(*policy_.tls_ca));
        if (!file)
            return file.fault();
        authorities = std::move(*file);
        options.fds.push_back({authorities.get(), 4});
        options.argv.insert(options.argv.end(), {"--tls-ca", "/dev/fd/4"});
    }
    const auto process = spawn(options);
    if (!process)
        return process.fault();
    auto run = std::make_shared<Run>();
    run->process = *process;
    run->most = static_cast<std::size_t>(most);
    run->input_end = std::move(pipes[0].write);
    run->output_end = std::move(pipes[1].read);
    run->words_end = std::move(pipes[2].read);
    runs_.insert(run);
    return run;
}

void Transfers::watch(const std::shared_ptr<Run>& run,
                      std::function<void(Result<std::string>)> done) {
    const auto weak = std::weak_ptr(run);
    const auto settle = [this, weak, done = std::move(done)] {
        const auto ended = weak.lock();
        if (!ended || !ended->status || ended->open_ends > 0)
            return;
        runs_.erase(ended);
        loop_.post([ended] {}); // its streams may be what calls us
        if (*ended->status == 0)
            return done(std::move(ended->content));
        const std::string reason = reason_of(ended->said);
        done(Fault{WIFEXITED(*ended->status) && WEXITSTATUS(*ended->status) == usage_status
                       ? FaultKind::invalid_value
                       : FaultKind::unavailable,
                   reason.empty() ? "It took too long." : reason});
    };
    const auto collect = [&](UniqueFd end, std::string Run::*text, std::size_t most) {
        return std::make_unique<Stream>(
            loop_, std::move(end),
            Stream::Handlers{.data =
                                 [weak, text, most](std::string_view bytes, std::vector<UniqueFd>) {
                                     const auto owner = weak.lock();
                                     std::string& all = (*owner).*text;
                                     all += bytes.substr(0, most - std::min(most, all.size()));
                                 },
                             .closed =
                                 [weak, settle](const std::string&) {
                                     if (const auto owner = weak.lock())
                                         --owner->open_ends;
                                     settle();
                                 }});
    };
    run->output = collect(std::move(run->output_end), &Run::content, run->most);
    run->words = collect(std::move(run->words_end), &Run::said, most_words);
    run->exit = loop_.on_exit(run->process.pid, [weak, settle](int status) {
        if (const auto owner = weak.lock())
            owner->status = status;
        settle();
    });
    run->limit = loop_.after(time_limit, [weak] {
        if (const auto owner = weak.lock())
            send_signal(owner->process, SIGKILL);
    });
}

void Transfers::fetch(const Remote& from, std::size_t most,
                      std::function<void(Result<std::string>)> done) {
    const auto run = begin(from, "--fetch", most);
    if (!run)
        return done(run.fault());
    (*run)->input_end.reset();
    watch(*run, std::move(done));
}

struct Transfers::RunningDownload final : Transfers::Download {
    RunningDownload(Loop& loop, std::shared_ptr<Run> started, int fd)
        : run(std::move(started)), file(fcntl(fd, F_DUPFD_CLOEXEC, 0)) {
        // Longer than a fetch of a text may take, as long as bytes come.
        run->limit = loop.every(quiet_limit, [this] {
            struct stat facts {};
            fstat(file.get(), &facts);
            if (std::exchange(seen, facts.st_size) == facts.st_size)
                send_signal(run->process, SIGKILL);
        });
    }
    ~RunningDownload() override {
        if (!run->status)
            send_signal(run->process, SIGKILL);
    }
    std::uint64_t size() const override { return size_of(run->said); }

    const std::shared_ptr<Run> run;
    const UniqueFd file;
    std::shared_ptr<bool> wanted;
    off_t seen = -1;
};

Result<std::unique_ptr<Transfers::Download>>
Transfers::download(const Remote& from, int to, std::uint64_t most,
                    std::function<void(Result<void>)> done) {
    const auto run = begin(from, "--fetch", most, to);
    if (!run)
        return run.fault();
    (*run)->input_end.reset();
    (*run)->most = 0; // what it says goes to the file
    const auto wanted = std::make_shared<bool>(true);
    watch(*run, [done = std::move(done), alive = std::weak_ptr(wanted)](const auto& result) {
        if (!alive.expired())
            done(result ? Result<void>() : result.fault());
    });
    auto download = std::make_unique<RunningDownload>(loop_, *run, to);
    download->wanted = wanted;
    return std::unique_ptr<Download>(std::move(download));
}

void Transfers::store(const Remote& to, std::string content,
                      std::function<void(Result<void>)> done) {
    const auto run = begin(to, "--store", content.size());
    if (!run)
        return done(run.fault());
    watch(*run, [done = std::move(done)](const Result<std::string>& result) {
        done(result ? Result<void>() : result.fault());
    });
    const auto weak = std::weak_ptr(*run);
    const auto end_input = [this, weak] {
        loop_.post([weak] {
            if (const auto owner = weak.lock())
                owner->input.reset(); // end of file
        });
    };
    (*run)->input = std::make_unique<Stream>(
        loop_, std::move((*run)->input_end),
        Stream::Handlers{.data = [](std::string_view, std::vector<UniqueFd>) {},
                         .closed = [end_input](const std::string&) { end_input(); },
                         .drained = end_input},
        most_bytes + 1);
    (*run)->input->send(std::move(content));
    if ((*run)->input->queued() == 0)
        end_input();
}

} // namespace lom
