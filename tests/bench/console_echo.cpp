// How much the console hub adds to an echo. One thread plays the guest behind QEMU: it sends back
// each byte and writes it to the log, as QEMU does. The bare figure is a client on QEMU's socket;
// the other a client of the hub, whose loop has a thread of its own as in lomd. Prints both in
// microseconds, with their difference and ratio; then once more while another guest on the same
// loop floods its console with ten readers, with the loop's share of a processor.
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
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
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

/// Another console on the same loop, flooded while it lives: a thread appends single bytes, which
/// is what QEMU does, at about the speed of an emulated UART; another reads for ten people.
class Flood {
  public:
    Flood(lom::Loop& loop, const std::string& path)
        : log_(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600)) {
        auto opened = lom::kvms::Console::open(loop, path, {}, {});
        if (!opened)
            die(opened.fault().message);
        console_ = std::move(*opened);
        for (int i = 0; i < readers; ++i) {
            std::uint64_t id = 0;
            auto socket = console_->attach({.who = "reader"}, true, id);
            sockets_.push_back(std::move(socket.value()));
        }
    }
    void start() {
        guest_ = std::thread([this] { print(); });
        people_ = std::thread([this] { read_all(); });
    }
    void stop() {
        stop_ = true;
        guest_.join();
        people_.join();
    }
    double bytes_per_second() const { return bytes_per_second_; }

  private:
    static constexpr int readers = 10;

    void print() {
        const auto start = Clock::now();
        double count = 0;
        for (; !stop_; ++count) {
            if (write(log_.get(), "f", 1) != 1)
                die("flood");
            std::this_thread::sleep_until(
                start + std::chrono::microseconds(static_cast<long>(count / 256) * 256));
        }
        bytes_per_second_ = count / std::chrono::duration<double>(Clock::now() - start).count();
    }
    void read_all() {
        std::array<char, 32768> buffer{};
        while (!stop_) {
            for (const auto& socket : sockets_)
                while (recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
                }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

    lom::UniqueFd log_;
    std::unique_ptr<lom::kvms::Console> console_;
    std::vector<lom::UniqueFd> sockets_;
    std::atomic<bool> stop_ = false;
    double bytes_per_second_ = 0;
    std::thread guest_;
    std::thread people_;
};

double thread_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::vector<double> measure_hub(const std::string& dir, std::chrono::microseconds pause,
                                bool flooded) {
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
    Flood flood(loop, dir + "/flood.log");
    const lom::UniqueFd log(open(path.c_str(), O_WRONLY | O_APPEND));
    std::thread guest([&] { play_guest(in.get(), -1, log.get()); });
    const auto start = Clock::now();
    double busy = 0;
    std::thread hub([&] {
        loop.run();
        busy = thread_seconds();
    });
    if (flooded)
        flood.start();
    auto times = measure(client->get(), "dx", pause);
    if (flooded)
        flood.stop();
    loop.post([&] { loop.stop(); });
    hub.join();
    if (write(in.get(), "q", 1) != 1)
        die("quit");
    guest.join();
    if (flooded)
        std::printf("the flood: %.0f bytes/s; the loop took %.1f %% of a processor\n",
                    flood.bytes_per_second(),
                    100 * busy / std::chrono::duration<double>(Clock::now() - start).count());
    return times;
}

void compare(const char* name, const std::string& dir, std::chrono::microseconds pause,
             bool flooded) {
    const auto bare = measure_bare(dir, pause);
    const auto hub = measure_hub(dir, pause, flooded);
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
    compare("typing", dir, std::chrono::milliseconds(2), false);
    compare("beside flood", dir, std::chrono::milliseconds(2), true);
    compare("back-to-back", dir, std::chrono::microseconds(0), false);
    std::filesystem::remove_all(dir);
}
