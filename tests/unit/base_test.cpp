#include "base/files.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/stream.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstdlib>

using namespace lom;
using namespace std::chrono_literals;

namespace {

struct Pair {
    UniqueFd a, b;
    Pair() {
        int ends[2];
        EXPECT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
        a.reset(ends[0]);
        b.reset(ends[1]);
    }
};

struct TemporaryFolder {
    std::string path = "/tmp/lom-base-test-XXXXXX";
    TemporaryFolder() { EXPECT_NE(nullptr, mkdtemp(path.data())); }
    ~TemporaryFolder() { (void)!system(("rm -rf " + path).c_str()); }
};

} // namespace

TEST(Loop, a_dropped_timer_never_fires) {
    Loop loop;
    bool late = false;
    bool fired = false;
    auto dropped = loop.after(5ms, [&] { fired = true; });
    auto end = loop.after(30ms, [&] { late = true; });
    dropped.reset();
    ASSERT_TRUE(loop.run_until([&] { return late; }, 2s));
    EXPECT_FALSE(fired);
}

TEST(Loop, a_watch_may_be_dropped_inside_its_own_callback) {
    Loop loop;
    Pair pair;
    int calls = 0;
    Loop::Handle watch;
    watch = loop.watch(pair.a.get(), Loop::Wait::writable, [&] {
        ++calls;
        watch.reset();
    });
    bool late = false;
    auto end = loop.after(20ms, [&] { late = true; });
    ASSERT_TRUE(loop.run_until([&] { return late; }, 2s));
    EXPECT_EQ(1, calls);
}

TEST(Loop, pool_results_come_back_on_the_loop) {
    Loop loop;
    int value = 0;
    bool done = false;
    loop.in_pool([&] { value = 42; }, [&] { done = true; });
    ASSERT_TRUE(loop.run_until([&] { return done; }, 2s));
    EXPECT_EQ(42, value);
}

TEST(Stream, carries_megabytes_past_a_full_socket_buffer) {
    Loop loop;
    Pair pair;
    std::string received;
    Stream a(loop, std::move(pair.a), {});
    Stream b(loop, std::move(pair.b),
             {.data = [&](std::string_view bytes, auto) { received += bytes; }, .closed = {}});
    const std::string sent(3U << 20U, 'x');
    a.send(sent);
    ASSERT_TRUE(loop.run_until([&] { return received.size() == sent.size(); }, 5s));
    EXPECT_EQ(sent, received);
    EXPECT_EQ(0U, a.queued());
}

TEST(Stream, passes_descriptors) {
    Loop loop;
    Pair pair;
    Pair passed;
    std::vector<UniqueFd> received;
    Stream a(loop, std::move(pair.a), {});
    Stream b(
        loop, std::move(pair.b),
        {.data = [&](std::string_view, std::vector<UniqueFd> fds) { received = std::move(fds); },
         .closed = {}});
    std::vector<UniqueFd> fds;
    fds.push_back(std::move(passed.a));
    a.send("x", std::move(fds));
    ASSERT_TRUE(loop.run_until([&] { return !received.empty(); }, 2s));
    ASSERT_EQ(5, write(received[0].get(), "hello", 5));
    char text[8] = {};
    EXPECT_EQ(5, read(passed.b.get(), text, sizeof(text)));
    EXPECT_STREQ("hello", text);
}

TEST(Stream, drops_a_peer_that_does_not_read) {
    Loop loop;
    Pair pair;
    std::string reason;
    Stream a(loop, std::move(pair.a),
             {.data = {}, .closed = [&](const std::string& why) { reason = why; }}, 1U << 20U);
    a.send(std::string(4U << 20U, 'x'));
    ASSERT_TRUE(loop.run_until([&] { return !reason.empty(); }, 2s));
    EXPECT_NE(std::string::npos, reason.find("does not read"));
}

TEST(Stream, may_be_destroyed_in_its_closed_handler) {
    Loop loop;
    Pair pair;
    std::unique_ptr<Stream> stream;
    bool closed = false;
    stream = std::make_unique<Stream>(
        loop, std::move(pair.a), Stream::Handlers{.data = {}, .closed = [&](const std::string&) {
                                                      stream.reset();
                                                      closed = true;
                                                  }});
    pair.b.reset();
    ASSERT_TRUE(loop.run_until([&] { return closed; }, 2s));
}

TEST(Process, reports_a_program_that_is_missing) {
    const auto process = spawn({.argv = {"/no/such/program"}});
    ASSERT_FALSE(process);
    EXPECT_EQ("Cannot start /no/such/program: No such file or directory", process.fault().message);
}

TEST(Process, gives_the_child_only_the_descriptors_it_was_promised) {
    Loop loop;
    Pair pair;
    const UniqueFd leak(open("/dev/null", O_RDONLY)); // no close-on-exec: would leak
    const auto process = spawn(
        {.argv = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&5"}, .fds = {{pair.a.get(), 5}}});
    ASSERT_TRUE(process);
    int status = -1;
    auto exit = loop.on_exit(process->pid, [&](int value) { status = value; });
    ASSERT_TRUE(loop.run_until([&] { return status >= 0; }, 5s));
    char text[64] = {};
    ASSERT_GT(read(pair.b.get(), text, sizeof(text) - 1), 0);
    EXPECT_STREQ("0 1 2 3 5 ", text); // 3 is the folder that ls itself reads
}

TEST(Process, knows_its_own_process_from_a_later_one) {
    const auto process = spawn({.argv = {"sleep", "30"}});
    ASSERT_TRUE(process);
    EXPECT_TRUE(is_alive(*process));
    EXPECT_FALSE(is_alive({process->pid, process->start_time + 1}));
    EXPECT_FALSE(send_signal({process->pid, process->start_time + 1}, SIGKILL));
    EXPECT_TRUE(send_signal(*process, SIGKILL));
    waitpid(process->pid, nullptr, 0);
    EXPECT_FALSE(is_alive(*process));
}

TEST(Files, are_replaced_whole) {
    TemporaryFolder folder;
    const std::string path = folder.path + "/a";
    ASSERT_TRUE(write_file_durably(path, "one", 0600));
    ASSERT_TRUE(write_file_durably(path, "two", 0600));
    EXPECT_EQ("two", *read_file(path));
    EXPECT_FALSE(write_file_durably(folder.path + "/none/a", "x", 0600));
}
