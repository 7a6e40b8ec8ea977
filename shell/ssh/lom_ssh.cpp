// lom-ssh: serves one SSH connection. lomd starts one for each that it accepts, as nobody.
#include "base/fd.h"
#include "shell/ssh/connection.h"
#include "shell/ssh/host_key.h"

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>

namespace {

using namespace lom;
using namespace lom::shell;

struct Arguments {
    int fd = -1;
    int control_fd = -1;
    int host_key_fd = -1;
    int programs_fd = -1;
    std::string new_host_key;
};

std::string address_of_peer(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST] = "";
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0 ||
        getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof(host), nullptr, 0,
                    NI_NUMERICHOST) != 0)
        return "unknown";
    return host;
}

int complain(const std::string& sentence) {
    std::fprintf(stderr, "lom-ssh: %s\n", sentence.c_str());
    return 4;
}

int serve(const Arguments& arguments) {
    const UniqueFd host_key(arguments.host_key_fd);
    const UniqueFd programs(arguments.programs_fd);
    const UniqueFd run_dir(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    auto client = control::Client::from_fd(UniqueFd(arguments.control_fd), ".");
    if (!client)
        return complain(client.fault().message);
    Connection::Options options;
    options.source = address_of_peer(arguments.fd);
    options.socket.reset(arguments.fd);
    options.host_key = host_key.get();
    options.lom = {programs.get(), run_dir.get()};
    const auto served = Connection(std::move(options), std::move(*client)).run();
    return served ? 0 : complain(served.fault().message);
}

} // namespace

int main(int argc, char** argv) {
    // Passwords and the host key pass through here.
    prctl(PR_SET_DUMPABLE, 0);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGPIPE, SIG_IGN);
    Arguments arguments;
    CLI::App app("Serves one SSH connection of the OpenLOM service processor; started by lomd.",
                 "lom-ssh");
    app.set_version_flag("--version", "lom-ssh " LOM_VERSION);
    app.add_option("--fd", arguments.fd, "The accepted connection");
    app.add_option("--control-fd", arguments.control_fd, "A connection to lomd that may log in");
    app.add_option("--host-key-fd", arguments.host_key_fd, "Private host keys, OpenSSH's format");
    app.add_option("--programs-fd", arguments.programs_fd,
                   "The folder of lom; the working folder is "
                   "that of lomd's control socket");
    app.add_option("--generate-host-key", arguments.new_host_key, "Write a new key to this file");
    CLI11_PARSE(app, argc, argv);
    if (!arguments.new_host_key.empty()) {
        const auto made = generate_host_key(arguments.new_host_key);
        return made ? 0 : complain(made.fault().message);
    }
    if (arguments.fd < 0 || arguments.control_fd < 0 || arguments.host_key_fd < 0)
        return complain("--fd, --control-fd and --host-key-fd are needed");
    return serve(arguments);
}
