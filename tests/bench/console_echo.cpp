// How much the console hub adds to an echo. One thread plays the guest behind QEMU: it sends back
// each byte and writes it to the log, as QEMU does. The bare figure is a client on QEMU's socket;
// the other a client of the hub, whose loop has a thread of its own as in lomd. Prints both in
// microseconds, with their difference and ratio.
#include "base/fd.h"
#include "base/loop.h"
#include "kvms/console/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr int warm_up = 100;
constexpr int rounds = 2000;

[[noreturn]] void die(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
}

/// Echoes bytes from `in` to `out` (if any) and the log until it reads a 'q'.
void play_guest(int in, int out, int log) {
    char byte = 0;
    while (read(in, &byte, 1) == 1 && byte != 'q') {
        if (out >= 0 && write(out, &byte, 1) != 1)
            die("echo");
        if (write(log, &byte, 1) != 1)
            die("log");
    }
}

/// Round trips of one byte in microseconds, sorted. `typed` is what the client sends; an echo has
/// come when a message with data arrives. `pause` between two keys, as a person makes it.
std::vector<double> measure(int socket, const std::string& typed, std::chrono::microseconds pause) {
    std::vector<double> times;
    std::array<char, 32768> buffer{};
    for (int i = 0; i < warm_up + rounds; ++i) {
        std::this_thread::sleep_for(pause);
        const auto start = Clock::now();
        if (send(socket, typed.data(), typed.size(), 0) < 0)
            die("send");
        do {
            if (recv(socket, buffer.data(), buffer.size(), 0) <= 0)
                die("receive");
        } while (buffer[0] == 'n'); // a notice of the hub
        if (i >= warm_up)
            times.push_back(
                std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times;
}

std::vector<double> measure_bare(const std::string& dir, std::chrono::microseconds pause) {
    std::array<int, 2> pair{};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) < 0)
        die("socketpair");
    const lom::UniqueFd client(pair[0]);
    const lom::UniqueFd qemu(pair[1]);
    const lom::UniqueFd log(open((dir + "/bare.log").c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600));
    std::thread guest([&] { play_guest(qemu.get(), qemu.get(), log.get()); });
    auto times = measure(client.get(), "x", pause);
    if (write(client.get(), "q", 1) != 1)
        die("quit");
    guest.join();
    return times;
}

std::vector<double> measure_hub(const std::string& dir, std::chrono::microseconds pause) {
    const std::string fifo = dir + "/in";
    const std::string path = dir + "/console.log";
    std::filesystem::remove(fifo);
    if (mkfifo(fifo.c_str(), 0600) < 0)
        die("mkfifo");
    const lom::UniqueFd in(open(fifo.c_str(), O_RDWR));
    lom::Loop loop;
    auto console = lom::kvms::Console::open(loop, path, {}, {});
    if (!console)
        die(console.fault().message);
    (*console)->use_socket(fifo);
    std::uint64_t id = 0;
    const auto client = (*console)->attach({.who = "bench"}, false, id);
    const lom::UniqueFd log(open(path.c_str(), O_WRONLY | O_APPEND));
    std::thread guest([&] { play_guest(in.get(), -1, log.get()); });
    std::thread hub([&] { loop.run(); });
    auto times = measure(client->get(), "dx", pause);
    loop.post([&] { loop.stop(); });
    hub.join();
    if (write(in.get(), "q", 1) != 1)
        die("quit");
    guest.join();
    return times;
}

void compare(const char* name, const std::string& dir, std::chrono::microseconds pause) {
    const auto bare = measure_bare(dir, pause);
    const auto hub = measure_hub(dir, pause);
    for (const int percent : {50, 99}) {
        const auto at = static_cast<std::size_t>(rounds * percent / 100);
        std::printf("%-12s p%d  bare %7.1f us  hub %7.1f us  difference %7.1f us  ratio %.2f\n",
                    name, percent, bare[at], hub[at], hub[at] - bare[at], hub[at] / bare[at]);
    }
}

} // namespace

int main() {
    std::string dir = std::filesystem::temp_directory_path() / "console-echo-XXXXXX";
    if (mkdtemp(dir.data()) == nullptr)
        die("mkdtemp");
    compare("typing", dir, std::chrono::milliseconds(2));
    compare("back-to-back", dir, std::chrono::microseconds(0));
    std::filesystem::remove_all(dir);
}
