// lom-web: the web page and Redfish over HTTPS. lomd starts one, as nobody, on a listening socket;
// it holds the TLS key and nothing else. Also the tool that makes and inspects certificates.
#include "base/files.h"
#include "base/loop.h"
#include "web/app.h"
#include "web/certificate.h"
#include "web/confinement.h"
#include "web/server.h"
#include "web/webhook.h"

#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace {

using namespace lom;
using namespace lom::web;

struct Arguments {
    int listen_fd = -1;
    int pem_fd = -1;
    int ticket_fd = -1;
    int ui_fd = -1;
    int facts_fd = -1;
    int webhook_fd = -1;
    int events_fd = -1;
    int session_minutes = 15;
    std::string new_certificate;
    std::vector<std::string> names;
};

constexpr std::size_t longest_secret = 256U << 10U;

int complain(const std::string& sentence) {
    std::fprintf(stderr, "lom-web: %s\n", sentence.c_str());
    return 4;
}

std::string read_all(int number) {
    const UniqueFd fd(number);
    std::string text;
    char buffer[4096];
    ssize_t count = 0;
    while (text.size() < longest_secret && (count = read(fd.get(), buffer, sizeof(buffer))) > 0)
        text.append(buffer, static_cast<std::size_t>(count));
    return text;
}

int inspect(const Arguments& arguments) {
    const auto facts = certificate_facts(read_all(arguments.pem_fd));
    const std::string& answer = facts ? *facts : facts.fault().message;
    return write(arguments.facts_fd, answer.data(), answer.size()) > 0 && facts ? 0 : 1;
}

void allow_many_descriptors() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int serve(const Arguments& arguments) {
    Loop loop;
    App app(loop, {.control_socket = "./control.sock",
                   .door_ticket = read_all(arguments.ticket_fd),
                   .ui = UniqueFd(arguments.ui_fd),
                   .session_time_out = std::chrono::minutes(arguments.session_minutes)});
    auto server = Server::start(
        loop, UniqueFd(arguments.listen_fd), read_all(arguments.pem_fd),
        {.request =
             [&app](Request request, Server::Respond respond) {
                 app.answer(std::move(request), std::move(respond));
             },
         .body_limit = [&app](const Request& request) { return app.body_limit(request); }});
    if (!server)
        return complain(server.fault().message);
    const auto end = [&](int) { (*server)->drain([&loop] { loop.stop(); }); };
    const auto term = loop.on_signal(SIGTERM, end);
    const auto interrupt = loop.on_signal(SIGINT, end);
    if (const auto confined = confine(); !confined)
        return complain(confined.fault().message);
    loop.run();
    std::_Exit(0); // connections stand in the middle of something; the kernel closes them all
}

} // namespace

int main(int argc, char** argv) {
    // Passwords and the TLS key pass through here.
    prctl(PR_SET_DUMPABLE, 0);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGPIPE, SIG_IGN);
    Arguments arguments;
    CLI::App app("Serves the web page and Redfish of the OpenLOM service processor; started by "
                 "lomd.",
                 "lom-web");
    app.set_version_flag("--version", "lom-web " LOM_VERSION);
    app.add_option("--listen-fd", arguments.listen_fd, "The listening socket");
    app.add_option("--pem-fd", arguments.pem_fd, "Certificate chain and private key, PEM");
    app.add_option("--ticket-fd", arguments.ticket_fd, "What makes our connections to lomd a door");
    app.add_option("--ui-fd", arguments.ui_fd, "The folder of the page's files");
    app.add_option("--session-minutes", arguments.session_minutes, "Idle sessions end after this");
    app.add_option("--facts-fd", arguments.facts_fd,
                   "Only say to this descriptor what the certificate is");
    app.add_option("--webhook-fd", arguments.webhook_fd, "Only post events to this webhook");
    app.add_option("--events-fd", arguments.events_fd, "Where the events come from");
    app.add_option("--generate-certificate", arguments.new_certificate,
                   "Write a self-signed certificate and its key to this file");
    app.add_option("--name", arguments.names, "A name or address for it");
    CLI11_PARSE(app, argc, argv);
    if (!arguments.new_certificate.empty()) {
        const auto made = generate_certificate(arguments.new_certificate, arguments.names);
        return made ? 0 : complain(made.fault().message);
    }
    if (arguments.pem_fd >= 0 && arguments.facts_fd >= 0)
        return inspect(arguments);
    if (arguments.webhook_fd >= 0 && arguments.events_fd >= 0)
        return deliver_events(UniqueFd(arguments.webhook_fd), UniqueFd(arguments.events_fd));
    if (arguments.listen_fd < 0 || arguments.pem_fd < 0 || arguments.ticket_fd < 0)
        return complain("--listen-fd, --pem-fd and --ticket-fd are needed");
    allow_many_descriptors();
    return serve(arguments);
}
