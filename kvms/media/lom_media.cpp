// lom-media: serves one remote image as a file, in the foreground, until SIGTERM; or copies one
// file from there to stdout (--fetch) or from stdin to there (--store).
#include "base/files.h"
#include "base/stream.h"
#include "kvms/media/confinement.h"
#include "kvms/media/image_mount.h"
#include "kvms/media/image_server.h"
#include "kvms/media/sources/browser_source.h"
#include "kvms/media/sources/credentials.h"
#include "kvms/media/sources/file_source.h"
#include "kvms/media/sources/http_source.h"
#include "kvms/media/sources/reader_source.h"
#include "kvms/media/sources/sftp_source.h"
#include "kvms/media/sources/transfer.h"
#include "kvms/media/sources/uri.h"
#include "kvms/media/steward.h"

#include <CLI/CLI.hpp>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <optional>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace lom::media;

constexpr std::size_t smb_readers = 4;

enum ExitStatus { exit_done = 0, exit_failed = 1, exit_usage = 2 };

struct Options {
    std::string uri;
    std::string file;
    std::string known_hosts;
    std::string control;
    std::string feed;
    std::string tls_ca;
    std::string tls_pin;
    std::string allowed_folder;
    bool allow_loopback = false;
    std::vector<std::string> allowed_addresses;
    std::vector<std::string> allowed_schemes;
    int credentials_fd = -1;
    std::size_t cache_size = 256U << 20U;
    std::string cache_dir;
    std::uint64_t cache_dir_size = std::uint64_t{8} << 30U;
    bool fill = true;
    std::uint64_t max_bytes = std::uint64_t{64} << 30U;
    std::string hold;
    bool fetch = false;
    bool store = false;
    bool tell_size = false;
    bool transfers() const { return fetch || store; }
};

void declare(CLI::App& app, Options& options) {
    app.add_option("uri", options.uri,
                   "sshfs://[USER@]HOST[:PORT]:/PATH, or with https, http, nfs, smb, file")
        ->required();
    app.add_option("file", options.file, "an existing plain file to mount over");
    app.add_option("--credentials-fd", options.credentials_fd,
                   "descriptor with JSON {\"username\":..,\"password\":..,\"ssh_key\":..}");
    app.add_option("--known-hosts", options.known_hosts,
                   "file that remembers host keys; a changed one is refused");
    app.add_option("--tls-ca", options.tls_ca,
                   "PEM file of the authorities that https servers are checked by");
    app.add_option("--tls-pin", options.tls_pin,
                   "sha256//BASE64 of the https server's public key, checked instead");
    app.add_option("--allowed-folder", options.allowed_folder,
                   "where the images of file: lie; without it there are none");
    app.add_flag("--allow-loopback", options.allow_loopback,
                 "the image may lie on this machine itself");
    app.add_option("--allowed-address", options.allowed_addresses,
                   "network or address that the image may come from; may be given again");
    app.add_option("--allowed-scheme", options.allowed_schemes,
                   "scheme that the URI may have; may be given again");
    app.add_option("--cache-size", options.cache_size, "most bytes to keep in memory")
        ->check(CLI::Range(std::size_t{2U << 20U}, std::size_t{64} << 30U));
    app.add_option("--cache-dir", options.cache_dir,
                   "folder of ours alone, to keep what was fetched for another time");
    app.add_option("--cache-dir-size", options.cache_dir_size, "most bytes to keep there");
    app.add_flag("--fill,!--no-fill", options.fill,
                 "fetch the whole image while nobody reads, if a cache can hold it (default)");
    app.add_option("--feed", options.feed,
                   "unix socket where the page with a browser: image connects");
    app.add_option("--control", options.control,
                   "unix socket to report on; failures at the start are then tried again");
    app.add_option("--hold", options.hold,
                   "answer reads of a source that is away so that QEMU (rerror=enospc) holds its "
                   "guest, also when this process dies; the file says for how long");
    auto* fetch = app.add_flag("--fetch", options.fetch, "write the file to stdout and end");
    app.add_flag("--store", options.store, "write stdin to the file there and end")
        ->excludes(fetch);
    app.add_flag("--tell-size", options.tell_size,
                 "say 'size BYTES' on stderr when a file to fetch is open");
    app.add_option("--max-bytes", options.max_bytes, "most bytes to fetch or to store");
    app.set_version_flag("--version", std::string("lom-media ") + LOM_VERSION);
}

/// The secrets we hold must not reach a core dump or a debugger.
void guard_memory() {
    prctl(PR_SET_DUMPABLE, 0);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

int complain(const lom::Fault& fault, ExitStatus status) {
    std::cerr << "lom-media: " << fault.message << "\n";
    return status;
}

/// What each kind of source has to know.
struct Settings {
    SftpSettings sftp;
    HttpSettings http;
    ReaderSettings nfs;
    ReaderSettings smb;
    FileSettings file;
    BrowserSettings browser;
    const ImageUri& uri() const { return sftp.uri; }
    const ImagePolicy& policy() const { return sftp.policy; }
    void accept_any_size() {
        sftp.least_size = http.least_size = nfs.least_size = smb.least_size = file.least_size = 0;
    }
};

/// What the policy does not allow: lost before it began.
class RefusedSource final : public Source {
  public:
    RefusedSource(lom::Loop& loop, const std::string& why, SourceListener& listener)
        : lost_(loop.after(std::chrono::milliseconds(0), [why, &listener] {
              listener.source_lost({Status::not_allowed, why, false});
          })) {}
    void read(std::uint32_t, std::uint64_t, std::uint32_t) override {}
    void flush() override {}

  private:
    lom::Loop::Handle lost_;
};

OpenSource opener(lom::Loop& loop, Settings& settings) {
    return [&](SourceListener& listener) -> std::unique_ptr<Source> {
        if (const auto fine = settings.policy().check(settings.uri()); !fine)
            return std::make_unique<RefusedSource>(loop, fine.fault().message, listener);
        const std::string& scheme = settings.uri().scheme;
        if (settings.uri().is_web())
            return open_http(loop, settings.http, listener);
        if (scheme == "nfs")
            return open_reader(loop, settings.nfs, listener);
        if (scheme == "smb")
            return open_reader(loop, settings.smb, listener);
        if (scheme == "browser")
            return open_browser(loop, settings.browser, listener);
        if (scheme == "file")
            return open_file(loop, settings.file, listener);
        return open_sftp(loop, settings.sftp, listener);
    };
}

void tell_size(std::uint64_t size) { std::cerr << "size " << size << std::endl; }

int transfer(const Options& options, Settings& settings) {
    if (options.store && settings.uri().scheme != "sshfs")
        return complain({lom::FaultKind::usage, "A file can be stored by sftp only."}, exit_usage);
    lom::Loop loop;
    settings.accept_any_size();
    const auto done = options.fetch
                          ? fetch_file(loop, opener(loop, settings), STDOUT_FILENO,
                                       options.max_bytes, options.tell_size ? tell_size : nullptr)
                          : store_file(
                                loop,
                                [&](SourceListener& listener) {
                                    return open_sftp_sink(loop, settings.sftp, listener);
                                },
                                STDIN_FILENO, options.max_bytes);
    return done ? exit_done : complain(done.fault(), exit_failed);
}

lom::Result<ImagePolicy> policy_of(const Options& options) {
    ImagePolicy policy{options.allow_loopback, options.allowed_schemes, {}};
    for (const std::string& text : options.allowed_addresses) {
        const auto network = parse_network(text);
        if (!network)
            return network.fault();
        policy.networks.push_back(*network);
    }
    return policy;
}

/// The program that reads what `scheme` names, where that is not done in here; it lies where we
/// lie.
std::string reader_of(const std::string& scheme) {
    if (scheme != "nfs" && scheme != "smb")
        return {};
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).replace_filename("lom-" + scheme);
}

/// What is opened, started and bound while we are still root.
struct Prepared {
    std::optional<Steward> steward;
    std::optional<Credentials> credentials;
    std::string authorities;
    std::unique_ptr<Keeper> keeper;
    lom::UniqueFd control;
    std::string cache_folder; ///< empty: none
    lom::UniqueFd feed;       ///< where lomd connects the page
    std::string confinement;
};

lom::Result<void> prepare_to_serve(const Options& options, Prepared& prepared) {
    if (!options.hold.empty()) {
        auto keeper = Keeper::start(options.hold);
        if (!keeper)
            return keeper.fault();
        prepared.keeper = std::move(*keeper);
    }
    if (!options.control.empty()) {
        auto listener = lom::listen_unix(options.control, 0600);
        if (!listener)
            return listener.fault();
        prepared.control = std::move(*listener);
    }
    if (!options.feed.empty()) {
        auto listener = lom::listen_unix(options.feed, 0600);
        if (!listener)
            return listener.fault();
        prepared.feed = std::move(*listener);
    }
    if (!options.cache_dir.empty()) {
        auto folder = hand_over(options.cache_dir);
        if (!folder)
            return folder.fault();
        prepared.cache_folder = std::move(*folder);
    }
    return {};
}

/// From here on no file, program or privilege is ours to open, start or use; see confinement.h.
lom::Result<void> prepare(const Options& options, const ImageUri& uri, Prepared& prepared) {
    auto authorities =
        options.tls_ca.empty() ? lom::Result<std::string>("") : lom::read_file(options.tls_ca);
    auto mount_point =
        options.transfers() ? lom::Result<std::string>("") : prepare_mount_point(options.file);
    for (const auto* needed : {&authorities, &mount_point})
        if (!*needed)
            return needed->fault();
    prepared.authorities = std::move(*authorities);
    auto steward =
        Steward::start({uri, *mount_point, ImageMount::mount_options(), options.known_hosts,
                        options.allowed_folder, reader_of(uri.scheme)});
    if (!steward)
        return steward.fault();
    prepared.steward.emplace(std::move(*steward));
    auto credentials = options.credentials_fd < 0 ? lom::Result<Credentials>(Credentials())
                                                  : read_credentials(options.credentials_fd);
    if (!credentials)
        return credentials.fault();
    prepared.credentials.emplace(std::move(*credentials));
    if (const auto ready = prepare_to_serve(options, prepared); !ready)
        return ready.fault();
    auto confinement = confine({prepared.cache_folder});
    if (!confinement)
        return confinement.fault();
    prepared.confinement = std::move(*confinement);
    return {};
}

int serve(const Options& options, Settings& settings, Prepared& prepared) {
    // What lies on somebody's own computer is read when it is needed, and not kept.
    const bool own = settings.uri().scheme == "browser";
    lom::Loop loop;
    ImageServer server(loop,
                       {options.uri,
                        options.file,
                        prepared.confinement,
                        options.cache_size,
                        options.known_hosts.empty(),
                        options.fill && !own,
                        {own ? std::string() : prepared.cache_folder, options.cache_dir_size}},
                       *prepared.steward, opener(loop, settings), std::move(prepared.keeper));
    if (prepared.control)
        server.listen(std::move(prepared.control));
    return server.run();
}

int run(const Options& options) {
    const auto uri = parse_image_uri(options.uri);
    if (!uri)
        return complain(uri.fault(), exit_usage);
    auto policy = policy_of(options);
    if (!policy)
        return complain(policy.fault(), exit_usage);
    if (uri->scheme == "browser" && (options.transfers() || options.feed.empty()))
        return complain({lom::FaultKind::usage, "An image in a browser needs --feed, and a FILE."},
                        exit_usage);
    Prepared prepared;
    if (const auto ready = prepare(options, *uri, prepared); !ready)
        return complain(ready.fault(),
                        ready.fault().kind == lom::FaultKind::usage ? exit_usage : exit_failed);
    Steward& steward = *prepared.steward;
    Settings settings{
        {*uri,
         std::move(*prepared.credentials),
         std::move(*policy),
         steward,
         options.known_hosts,
         {}},
        {*uri, settings.sftp.credentials, settings.policy(), prepared.authorities, options.tls_pin},
        {*uri, settings.sftp.credentials, settings.policy(), steward},
        {*uri, settings.sftp.credentials, settings.policy(), steward, smb_readers},
        {*uri, steward, options.allowed_folder},
        {std::move(prepared.feed)}};
    const int status =
        options.transfers() ? transfer(options, settings) : serve(options, settings, prepared);
    // The control socket's file stays: by now it may be a successor's. Not return: a name server
    // that does not answer would hold up the loop's pool and with it us.
    settings.sftp.credentials.wipe();
    std::cout.flush();
    _exit(status);
}

} // namespace

int main(int argc, char** argv) {
    guard_memory();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); // nobody asks how a reader ended
    umask(077);
    Options options;
    CLI::App app("Serves one remote image as a read-only file until SIGTERM.", "lom-media");
    declare(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_done : exit_usage;
    }
    if (options.transfers() != options.file.empty()) {
        std::cerr << "lom-media: give URI and FILE to serve an image, or --fetch or --store and "
                     "only a URI.\n";
        return exit_usage;
    }
    return run(options);
}
