// Time from Host::start() to the guest's first serial byte, against QEMU started by hand with the
// same options: at most 1.10. Prints one line of JSON.
#include "base/files.h"
#include "base/process.h"
#include "vmm/command_line.h"
#include "vmm/host.h"
#include "vmm/host_files.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

using namespace lom;
using namespace lom::vmm;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int rounds = 25;

off_t size_of(const std::string& path) {
    struct stat about {};
    return stat(path.c_str(), &about) == 0 ? about.st_size : 0;
}

/// Waits until the file grows beyond `before`; milliseconds since `start`.
double until_output(const std::string& path, off_t before, Clock::time_point start) {
    while (size_of(path) <= before && Clock::now() - start < 20s) {
        const timespec moment{0, 200000};
        nanosleep(&moment, nullptr);
    }
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Bench {
    explicit Bench(const std::string& top_in) : top(top_in) {
        environment.dir = top + "/d";
        environment.run_dir = top + "/r";
        HostDefinition definition;
        definition.name = "bench";
        definition.disks = {{"disk0", 1U << 30U}};
        definition.nics = {{"net0", ""}};
        auto opened = Host::open(loop, environment, definition,
                                 {.changed = [] {},
                                  .event = [](const HostEvent&) {},
                                  .prompt_text = [](std::string_view) {},
                                  .serial = [](const std::string&) {}});
        if (!opened) {
            std::fprintf(stderr, "%s\n", opened.fault().message.c_str());
            std::exit(1);
        }
        host = std::move(*opened);
    }

    double ours() {
        const HostFiles files{environment.dir, environment.run_dir};
        const off_t before = size_of(files.console_log());
        const auto start = Clock::now();
        double took = 0;
        host->start([](const Result<void>&) {});
        loop.run_until(
            [&] {
                took = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
                tick = loop.after(1ms, [] {});
                return size_of(files.console_log()) > before;
            },
            20s);
        bool off = false;
        host->stop(true, [&](const Result<void>&) { off = true; });
        loop.run_until([&] { return off; }, 10s);
        return took;
    }

    double by_hand() {
        const HostFiles files{environment.dir, environment.run_dir};
        BootPlan plan;
        plan.order = {"disk", "cdrom", "net"};
        std::vector<std::string> argv =
            command_line(host->definition(), files, {environment.qemu, Acceleration::tcg, plan});
        std::erase(argv, "-S");
        if (!prepare_files(files, host->definition(), std::nullopt))
            return 0;
        const off_t before = size_of(files.console_log());
        const auto start = Clock::now();
        const auto qemu = spawn({.argv = argv, .stderr_path = top + "/err"});
        const double took = until_output(files.console_log(), before, start);
        if (qemu) {
            send_signal(*qemu, SIGKILL);
            waitpid(qemu->pid, nullptr, 0);
        }
        return took;
    }

    std::string top;
    Loop loop;
    HostEnvironment environment;
    std::unique_ptr<Host> host;
    Loop::Handle tick;
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

} // namespace

int main() {
    char top[] = "/tmp/lom-bench-XXXXXX";
    if (mkdtemp(top) == nullptr)
        return 1;
    std::vector<double> ours, by_hand;
    {
        Bench bench(top);
        for (int round = 0; round < rounds; ++round) {
            by_hand.push_back(bench.by_hand());
            ours.push_back(bench.ours());
        }
    }
    std::printf("{\"first_byte_ms\": %.1f, \"by_hand_ms\": %.1f, \"ratio\": %.3f}\n", median(ours),
                median(by_hand), median(ours) / median(by_hand));
    std::filesystem::remove_all(top);
}
