// lom-ssh: serves SSH connections, each in a process of its own. lomd starts it, as nobody.
#include "base/fd.h"
#include "shell/ssh/host_key.h"
#include "shell/ssh/reception.h"

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace lom;
using namespace lom::shell;

struct Arguments {
    int guests_fd = -1;
    std::vector<int> host_key_fds;
    int programs_fd = -1;
    std::string new_host_key;
    std::string key_type = "ed25519";
};

int complain(const std::string& sentence) {
    std::fprintf(stderr, "lom-ssh: %s\n", sentence.c_str());
    return 4;
}

int serve(const Arguments& arguments) {
    const UniqueFd programs(arguments.programs_fd);
    const UniqueFd run_dir(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    std::vector<SshKey> keys;
    for (const int fd : arguments.host_key_fds) {
        auto key = read_host_key(UniqueFd(fd).get());
        if (!key)
            return complain(key.fault().message);
        keys.push_back(std::move(*key));
    }
    auto settings = server_settings(std::move(keys));
    if (!settings)
        return complain(settings.fault().message);
    const auto served = Reception(UniqueFd(arguments.guests_fd), std::move(*settings),
                                  {programs.get(), run_dir.get()})
                            .run();
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
    CLI::App app("Serves the SSH connections of the OpenLOM service processor; started by lomd.",
                 "lom-ssh");
    app.set_version_flag("--version", "lom-ssh " LOM_VERSION);
    app.add_option("--guests-fd", arguments.guests_fd, "Where lomd hands connections over");
    app.add_option("--host-key-fd", arguments.host_key_fds, "A private host key; may be repeated");
    app.add_option("--programs-fd", arguments.programs_fd,
                   "The folder of lom; the working folder is "
                   "that of lomd's control socket");
    app.add_option("--generate-host-key", arguments.new_host_key, "Write a new key to this file");
    app.add_option("--key-type", arguments.key_type, "ed25519 or rsa")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    if (!arguments.new_host_key.empty()) {
        const auto made = generate_host_key(arguments.new_host_key, arguments.key_type);
        return made ? 0 : complain(made.fault().message);
    }
    if (arguments.guests_fd < 0 || arguments.host_key_fds.empty())
        return complain("--guests-fd and --host-key-fd are needed");
    return serve(arguments);
}
