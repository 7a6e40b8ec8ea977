// lomd: the service processor's daemon, on one page. Flags and the configuration file, then the
// loop. Everything that is configured at run time lives in the tree.
#include "base/loop.h"
#include "sp/manual.h"
#include "sp/preflight.h"
#include "sp/service_manager.h"
#include "sp/service_processor.h"

#include <CLI/CLI.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <unistd.h>

namespace {

struct Flags {
    std::string state_dir = "/var/lib/openlom";
    std::string run_dir = "/run/openlom";
    std::string listen = "127.0.0.1";
    std::uint16_t ssh_port = 2222;
    std::uint16_t https_port = 8443;
    std::string initial_password_file;
    bool foreground = false;
    bool check = false;
    bool targets_manual = false;
};

/// Where this program lies; asked before an upgrade may have put another one there.
std::string own_path() {
    char path[PATH_MAX] = "";
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    return {path, static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

/// The folder that holds lom, lom-ssh and lom-media: ours in a build folder; installed, lomd stands
/// in sbin and they in libexec, wherever the whole was moved.
std::string programs_folder() {
    const std::string self = own_path();
    const std::string here = self.substr(0, self.rfind('/'));
    const bool built = access((here + "/lom-ssh").c_str(), F_OK) == 0;
    return built ? here : here + "/" LOM_LIBEXEC_FROM_SBIN;
}

std::string absolute(const std::string& path) {
    if (!path.empty() && path[0] == '/')
        return path;
    char here[PATH_MAX] = "";
    return (getcwd(here, sizeof(here)) == nullptr ? "" : std::string(here) + "/") + path;
}

/// Each session and console is a few descriptors.
void allow_many_descriptors() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/// A fresh daemon in this process's place, with the same arguments: `reset /SP`. All descriptors
/// close on exec; hosts, images and logins are adopted again. What was installed meanwhile starts,
/// the same program once more where that is gone.
[[noreturn]] void start_again(const std::string& program, char** argv) {
    execv(program.c_str(), argv);
    execv("/proc/self/exe", argv);
    std::perror("lomd: cannot start again");
    std::_Exit(4);
}

// A journal keeps what it is told, and a password does not belong there.
void announce_password(const std::string& password) {
    if (lom::service_manager::present())
        std::cout << "The first account is root. Give it a password on this machine: "
                     "lom set /SP/users/root password\n"
                  << std::flush;
    else
        std::cout << "The first account is root, its password " << password
                  << "\nIt is shown only now. Change it: set /SP/users/root password\n"
                  << std::flush;
}

lom::ServiceOptions options_of(const Flags& flags) {
    return {.paths = {absolute(flags.state_dir), absolute(flags.run_dir), programs_folder()},
            .listen = flags.listen,
            .ssh_port = flags.ssh_port,
            .https_port = flags.https_port,
            .initial_password_file = flags.initial_password_file,
            .announce_password = announce_password,
            .restart = [] {}};
}

/// The manual page of the targets, from a service processor for this one purpose: in a folder of
/// its own, on loopback, with a password that nobody hears.
int print_targets_manual(Flags flags) {
    std::string folder = std::filesystem::temp_directory_path() / "openlom-manual-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) {
        std::cerr << "lomd: no folder can be made at " << folder << "; see TMPDIR.\n";
        return 4;
    }
    flags.state_dir = folder + "/state";
    flags.run_dir = folder + "/run";
    flags.listen = "127.0.0.1";
    flags.ssh_port = flags.https_port = 0;
    std::string failed;
    {
        lom::Loop loop;
        lom::ServiceOptions options = options_of(flags);
        options.announce_password = [](const std::string&) {};
        const auto service = lom::ServiceProcessor::start(loop, std::move(options));
        if (service) {
            std::cout << lom::targets_manual((*service)->tree()) << std::flush;
            (*service)->abandon();
        } else
            failed = "lomd: " + service.fault().message + "\n";
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
    std::cerr << failed;
    return failed.empty() ? 0 : 4;
}

std::string doors_of(const Flags& flags, const lom::ServiceProcessor& service) {
    std::string doors = "ssh on " + flags.listen + " port " + std::to_string(service.ssh_port());
    if (service.https_port() != 0)
        doors += ", https on port " + std::to_string(service.https_port());
    return doors;
}

int run(const Flags& flags, char** argv) {
    const std::string program = own_path();
    lom::Loop loop;
    bool again = false;
    const auto end = [&](int) { loop.stop(); };
    const auto term = loop.on_signal(SIGTERM, end);
    const auto interrupt = loop.on_signal(SIGINT, end);
    lom::Loop::Handle restart_soon;

    lom::ServiceOptions options = options_of(flags);
    options.restart = [&] {
        // Late enough for the answer to reach whoever asked.
        restart_soon = loop.after(std::chrono::milliseconds(200), [&] {
            again = true;
            loop.stop();
        });
    };
    auto service = lom::ServiceProcessor::start(loop, std::move(options));
    if (!service) {
        std::cerr << "lomd: " << service.fault().message << "\n";
        return 4;
    }
    const std::string doors = doors_of(flags, **service);
    std::cout << "lomd " LOM_VERSION ": " << doors << "\n" << std::flush;
    if (!flags.foreground && daemon(0, 0) < 0)
        return 4;
    lom::service_manager::ready(doors);
    loop.run();
    if (!again)
        lom::service_manager::stopping();
    service->reset();
    if (again)
        start_again(program, argv);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    Flags flags;
    CLI::App app("The OpenLOM service processor: an ILOM for QEMU/KVM guests.", "lomd");
    app.set_version_flag("--version", "lomd " LOM_VERSION);
    app.set_config("--config", "/etc/openlom/lomd.conf", "Flags as a file: NAME = VALUE");
    app.add_option("--state-dir", flags.state_dir, "Accounts, settings, disks, logs")
        ->capture_default_str();
    app.add_option("--run-dir", flags.run_dir, "Sockets and ports.json")->capture_default_str();
    app.add_option("--listen", flags.listen, "IP address to listen on")->capture_default_str();
    app.add_option("--ssh-port", flags.ssh_port, "0: any free port")->capture_default_str();
    app.add_option("--https-port", flags.https_port, "0: any free port")->capture_default_str();
    app.add_option("--initial-password-file", flags.initial_password_file,
                   "First password of root; else one is made and printed once");
    app.add_flag("--foreground", flags.foreground, "Stay on the terminal");
    app.add_flag("--check", flags.check, "Say what this machine offers and lacks, and exit");
    app.add_flag("--targets-manual", flags.targets_manual, "Print openlom-targets(7), and exit")
        ->group("")
        ->configurable(false);
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    umask(0022);
    if (flags.targets_manual)
        return print_targets_manual(flags);
    if (flags.check)
        return lom::preflight({absolute(flags.state_dir), flags.listen, flags.ssh_port}, std::cout)
                   ? 0
                   : 4;
    allow_many_descriptors();
    return run(flags, argv);
}
