// A long line for benches: forwards TCP on loopback, each byte late by half the round trip, and at
// most so many bytes a second in each direction over all connections together.
//
//     delay_proxy TARGET_PORT ROUND_TRIP_MS [BYTES_PER_SECOND]
//
// Prints the port it listens on and serves until its standard input ends. What is on the way waits
// in memory; where the rate is limited, the line holds a moment's worth more than its delay (as a
// router's queue does) and then stops reading, so that the sender's TCP waits.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <list>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::duration;
using std::chrono::duration_cast;

constexpr std::size_t chunk_size = 256U << 10U;
constexpr std::size_t unlimited_queue = 128U << 20U;
constexpr double router_seconds = 0.1;

Clock::duration of_seconds(double seconds) {
    return duration_cast<Clock::duration>(duration<double>(seconds));
}

struct Line {
    Clock::duration delay;
    double rate = 0; ///< bytes per second; 0: unlimited
    std::size_t queue_limit() const {
        return rate == 0 ? unlimited_queue
                         : static_cast<std::size_t>(
                               rate * (duration<double>(delay).count() + router_seconds) + 65536);
    }
    std::size_t read_size() const { return rate == 0 ? chunk_size : 16U << 10U; }
};

/// What all connections share in one direction.
struct Wire {
    Time free_at{};
    Time send(const Line& line, std::size_t bytes, Time now) {
        if (line.rate == 0)
            return now + line.delay;
        free_at = std::max(free_at, now) + of_seconds(static_cast<double>(bytes) / line.rate);
        return free_at + line.delay;
    }
};

struct Chunk {
    Time due;
    std::vector<char> bytes;
    std::size_t done = 0;
};

class Lane {
  public:
    Lane(const Line& line, Wire& wire) : line_(line), wire_(wire) {}

    bool wants_input() const { return !ended_ && queued_ < line_.queue_limit(); }
    bool due(Time now) const { return !chunks_.empty() && chunks_.front().due <= now; }
    const Chunk* next() const { return chunks_.empty() ? nullptr : &chunks_.front(); }
    bool finished() const { return ended_ && chunks_.empty(); }

    bool take(int from, Time now) {
        std::vector<char> bytes(spare_.empty() ? std::vector<char>() : std::move(spare_.back()));
        if (!spare_.empty())
            spare_.pop_back();
        bytes.resize(line_.read_size());
        const ssize_t count = read(from, bytes.data(), bytes.size());
        if (count < 0)
            return errno == EAGAIN;
        ended_ = count == 0;
        if (ended_)
            return true;
        const auto size = static_cast<std::size_t>(count);
        bytes.resize(size);
        queued_ += size;
        chunks_.push_back({wire_.send(line_, size, now), std::move(bytes)});
        return true;
    }

    bool give(int to, Time now) {
        while (due(now)) {
            Chunk& chunk = chunks_.front();
            const ssize_t count =
                write(to, chunk.bytes.data() + chunk.done, chunk.bytes.size() - chunk.done);
            if (count < 0)
                return errno == EAGAIN;
            chunk.done += static_cast<std::size_t>(count);
            queued_ -= static_cast<std::size_t>(count);
            if (chunk.done < chunk.bytes.size())
                return true;
            if (spare_.size() < 64)
                spare_.push_back(std::move(chunk.bytes));
            chunks_.pop_front();
        }
        return true;
    }

  private:
    const Line& line_;
    Wire& wire_;
    std::deque<Chunk> chunks_;
    std::vector<std::vector<char>> spare_;
    std::size_t queued_ = 0;
    bool ended_ = false;
};

struct Connection {
    std::array<int, 2> ends;   ///< the client's, the server's
    std::array<Lane, 2> lanes; ///< [i] carries from ends[i] to the other one

    /// False when it is over.
    bool serve(const std::array<short, 2>& ready, Time now) {
        for (std::size_t from : {0U, 1U}) {
            Lane& lane = lanes[from];
            const int to = ends[1 - from];
            if ((ready[from] & (POLLIN | POLLHUP | POLLERR)) != 0 && lane.wants_input() &&
                !lane.take(ends[from], now))
                return false;
            if (!lane.give(to, now) || lane.finished())
                return false;
        }
        return true;
    }
    short events(std::size_t end, Time now) const {
        const bool in = lanes[end].wants_input();
        const bool out = lanes[1 - end].due(now);
        return static_cast<short>((in ? POLLIN : 0) | (out ? POLLOUT : 0));
    }
};

[[noreturn]] void die(const char* what) {
    perror(what);
    exit(1);
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

const sockaddr* generic(const sockaddr_in& address) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

int tune(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int connect_to(std::uint16_t port) {
    const int fd = tune(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    if (fd < 0 || connect(fd, generic(address), sizeof(address)) != 0)
        die("connect");
    return fd;
}

int listen_anywhere() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    if (fd < 0 || bind(fd, generic(address), size) != 0 || listen(fd, 128) != 0 ||
        getsockname(fd, static_cast<sockaddr*>(static_cast<void*>(&address)), &size) != 0)
        die("listen");
    printf("%u\n", static_cast<unsigned>(ntohs(address.sin_port)));
    fflush(stdout);
    return fd;
}

class Proxy {
  public:
    Proxy(std::uint16_t target, Line line)
        : target_(target), line_(line), listener_(listen_anywhere()) {}

    void run() {
        for (;;) {
            const Time now = Clock::now();
            std::vector<pollfd> fds{{STDIN_FILENO, POLLIN, 0}, {listener_, POLLIN, 0}};
            Time wake = now + std::chrono::seconds(10);
            for (const Connection& connection : connections_) {
                for (const std::size_t end : {0U, 1U}) {
                    fds.push_back({connection.ends[end], connection.events(end, now), 0});
                    const Chunk* next = connection.lanes[end].next();
                    if (next != nullptr && next->due > now)
                        wake = std::min(wake, next->due);
                }
            }
            wait(fds, wake - now);
            if (fds[0].revents != 0)
                return;
            serve_all(fds);
            if (fds[1].revents != 0)
                accept_one();
        }
    }

  private:
    static void wait(std::vector<pollfd>& fds, Clock::duration span) {
        const auto nanoseconds = duration_cast<std::chrono::nanoseconds>(span).count();
        const timespec limit{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
        if (ppoll(fds.data(), fds.size(), &limit, nullptr) < 0 && errno != EINTR)
            die("poll");
    }

    void serve_all(const std::vector<pollfd>& fds) {
        const Time now = Clock::now();
        std::size_t at = 2;
        for (auto connection = connections_.begin(); connection != connections_.end(); at += 2) {
            if (connection->serve({fds[at].revents, fds[at + 1].revents}, now)) {
                ++connection;
                continue;
            }
            for (const int fd : connection->ends)
                close(fd);
            connection = connections_.erase(connection);
        }
    }

    void accept_one() {
        const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0)
            return;
        const std::array<int, 2> ends{tune(client), connect_to(target_)};
        connections_.push_back({ends, {Lane(line_, wires_[0]), Lane(line_, wires_[1])}});
        for (const int fd : ends)
            fcntl(fd, F_SETFL, O_NONBLOCK);
    }

    std::uint16_t target_;
    Line line_;
    int listener_;
    std::array<Wire, 2> wires_;
    std::list<Connection> connections_;
};

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: delay_proxy TARGET_PORT ROUND_TRIP_MS [BYTES_PER_SECOND]\n");
        return 2;
    }
    const Line line{of_seconds(atof(argv[2]) / 2000), argc > 3 ? atof(argv[3]) : 0};
    Proxy(static_cast<std::uint16_t>(atoi(argv[1])), line).run();
    return 0;
}
