#include "tests/unit/console_support.h"

#include <poll.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

namespace lom::kvms::test {
namespace {

using std::chrono::milliseconds;
constexpr std::uint64_t mib = 1U << 20U;

/// QEMU's end of `-chardev pipe`: reads the FIFO, which it holds open for both directions.
class Fifo {
  public:
    explicit Fifo(const std::string& path) {
        EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
        fd_.reset(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    }
    void receive() {
        std::array<char, 65536> buffer; // NOLINT
        const ssize_t count = read(fd_.get(), buffer.data(), buffer.size());
        if (count > 0)
            typed.append(buffer.data(), static_cast<std::size_t>(count));
    }
    void stop() { fd_.reset(); }
    std::string typed;

  private:
    UniqueFd fd_;
};

std::string input(std::string_view typed) { return std::string(1, 'd').append(typed); }

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](timeval time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// ---- output ----

TEST_F(ConsoleTest, a_reader_sees_what_the_guest_prints_from_when_it_came) {
    const Guest guest(log);
    guest.print("before");
    Client client = attach();
    guest.print("after");
    EXPECT_TRUE(wait_for(client, "after"));
    const auto* attached = client.last_notice("attached");
    ASSERT_NE(attached, nullptr);
    EXPECT_EQ(attached->at("offset"), 6);
}

TEST_F(ConsoleTest, the_sp_prints_and_the_guest_prints_on_one_console) {
    const Guest guest(log);
    Client client = attach();
    console->print("{0} ok boot\r\n");
    guest.print("SeaBIOS");
    console->print("!");
    EXPECT_TRUE(wait_for(client, "{0} ok boot\r\nSeaBIOS!"));
}

TEST_F(ConsoleTest, nothing_is_lost_with_nobody_attached_or_while_the_daemon_restarts) {
    const Guest guest(log);
    guest.print("one ");
    Client first = attach({.who = "root", .offset = 0});
    ASSERT_TRUE(wait_for(first, "one "));
    console.reset(); // the daemon dies
    EXPECT_TRUE(wait([&] { return !first.receive(); }));
    guest.print("two ");
    reopen();
    guest.print("three");
    Client again = attach({.who = "root", .offset = first.data.size()});
    EXPECT_TRUE(wait_for(again, "two three"));
    EXPECT_EQ(console->end(), 13U);
    EXPECT_EQ(*console->read(0, 100), "one two three");
}

TEST_F(ConsoleTest, ten_megabytes_arrive_byte_for_byte_at_several_readers) {
    settings.history_limit = 16 * mib;
    reopen();
    const std::string text = pattern(10 * mib + 77);
    std::vector<Client> readers;
    for (int i = 0; i < 3; ++i)
        readers.push_back(attach());
    std::thread guest([&] { // in pieces of all sizes, as fast as it can
        const Guest out(log);
        for (std::size_t at = 0, size = 1; at < text.size(); at += size, size = size * 7 % 40961)
            out.print(std::string_view(text).substr(at, size));
    });
    const bool whole = wait([&] {
        bool all = true;
        for (Client& reader : readers) {
            reader.receive();
            all = all && reader.data.size() >= text.size();
        }
        return all;
    });
    guest.join();
    EXPECT_TRUE(whole);
    for (const Client& reader : readers) {
        EXPECT_TRUE(reader.data == text);
        EXPECT_LE(reader.largest, 16U << 10U);
    }
}

TEST_F(ConsoleTest, a_reader_that_was_slow_within_the_history_misses_nothing) {
    const Guest guest(log);
    Client slow = attach();
    Client quick = attach();
    const std::string text = pattern(4 * mib);
    guest.print(text);
    EXPECT_TRUE(wait_for(quick, text));
    EXPECT_TRUE(wait([&] {
        slow.receive(1);
        return slow.data.size() >= text.size();
    }));
    EXPECT_TRUE(slow.data == text);
    EXPECT_EQ(slow.skipped, 0U);
}

TEST_F(ConsoleTest, a_reader_slower_than_the_history_is_told_exactly_how_much_it_missed) {
    settings.history_limit = mib;
    reopen();
    const Guest guest(log);
    Client slow = attach();
    Client quick = attach();
    const std::string text = pattern(9 * mib + 5);
    std::string seen;
    for (std::size_t at = 0; at < text.size(); at += 100000) {
        guest.print(text.substr(at, 100000));
        ASSERT_TRUE(wait([&] {
            quick.receive();
            return quick.data.size() == std::min(at + 100000, text.size());
        }));
    }
    EXPECT_TRUE(quick.data == text);
    EXPECT_EQ(quick.skipped, 0U);
    ASSERT_TRUE(wait([&] {
        slow.receive();
        return slow.data.size() + slow.skipped >= text.size();
    }));
    EXPECT_GT(slow.skipped, 0U);
    ASSERT_EQ(slow.data.size() + slow.skipped, text.size());
    const std::size_t head = slow.data.size() - (text.size() - console->start());
    EXPECT_TRUE(slow.data.substr(0, head) == text.substr(0, head));
    EXPECT_TRUE(slow.data.substr(head) == text.substr(console->start()));
}

TEST_F(ConsoleTest, attaching_before_the_history_counts_as_skipped) {
    settings.history_limit = mib;
    const Guest guest(log);
    const std::string text = pattern(3 * mib);
    guest.print(text);
    reopen();
    ASSERT_GT(console->start(), 0U);
    Client client = attach({.who = "root", .offset = 10});
    ASSERT_TRUE(wait_for(client, text.substr(console->start())));
    EXPECT_EQ(client.skipped, console->start() - 10);
    EXPECT_EQ(client.notices[0].at("offset"), 10);
}

TEST_F(ConsoleTest, the_history_stays_bounded_while_a_guest_floods_unwatched) {
    settings.history_limit = 2 * mib;
    reopen();
    const Guest guest(log);
    guest.print(pattern(20 * mib));
    ASSERT_TRUE(wait([&] { return console->start() > 0; }));
    EXPECT_EQ(console->end() - console->start(), 2 * mib);
    struct stat status {};
    ASSERT_EQ(stat(log.c_str(), &status), 0);
    EXPECT_LE(static_cast<std::uint64_t>(status.st_blocks) * 512, 5 * mib);
}

TEST_F(ConsoleTest, fifty_readers_of_which_ten_stall_all_get_a_flood_and_the_loop_stays_alive) {
    std::vector<Client> readers;
    for (int i = 0; i < 50; ++i)
        readers.push_back(attach());
    const std::string text = pattern(2 * mib);
    std::thread guest([&] {
        const Guest out(log);
        for (std::size_t at = 0; at < text.size(); at += 4)
            out.print(std::string_view(text).substr(at, 4));
    });
    // A timer that is due every 5 ms tells whether the loop still serves others.
    constexpr milliseconds period{5};
    int ticks = 0;
    const auto ticking = loop.every(period, [&] { ++ticks; });
    const auto start = std::chrono::steady_clock::now();
    std::atomic<bool> all = false;
    std::thread people([&] { // ten of them never read
        while (!all) {
            bool done = true;
            std::vector<pollfd> waits;
            for (std::size_t i = 10; i < readers.size(); ++i) {
                readers[i].receive();
                done = done && readers[i].data.size() >= text.size();
                waits.push_back({readers[i].fd(), POLLIN, 0});
            }
            if (done)
                all = true;
            else
                poll(waits.data(), waits.size(), 100);
        }
    });
    EXPECT_TRUE(loop.run_until([&] { return all.load(); }, std::chrono::seconds(40)));
    const auto due = (std::chrono::steady_clock::now() - start) / period;
    all = true;
    guest.join();
    people.join();
    for (std::size_t i = 10; i < readers.size(); ++i)
        EXPECT_TRUE(readers[i].data == text) << i;
    EXPECT_GE(ticks, due / 4);
    // The stalled ones missed nothing either: the log kept it for them.
    EXPECT_TRUE(wait_for(readers[0], text));
}

TEST_F(ConsoleTest, an_idle_console_with_readers_costs_nothing) {
    std::vector<Client> readers;
    for (int i = 0; i < 10; ++i)
        readers.push_back(attach());
    for (Client& reader : readers)
        ASSERT_TRUE(wait_for_notice(reader, "attached"));
    const double before = cpu_seconds();
    loop.run_until([] { return false; }, milliseconds(2500)); // spans an upkeep
    EXPECT_LT(cpu_seconds() - before, 0.01);
}

TEST_F(ConsoleTest, a_truncated_log_tells_readers_where_they_stand) {
    const Guest guest(log);
    guest.print("0123456789");
    Client client = attach();
    ASSERT_TRUE(wait_for_notice(client, "attached"));
    ASSERT_EQ(truncate(log.c_str(), 3), 0);
    ASSERT_TRUE(wait([&] {
        client.receive();
        return client.last_notice("attached")->at("offset") == 3;
    }));
    guest.print("new");
    EXPECT_TRUE(wait_for(client, "new"));
}

// ---- history ----

TEST_F(ConsoleTest, finds_where_the_last_lines_begin) {
    const Guest guest(log);
    guest.print("one\ntwo\nthree\n");
    EXPECT_EQ(console->offset_of_last_lines(1), 8U);
    EXPECT_EQ(console->offset_of_last_lines(2), 4U);
    EXPECT_EQ(console->offset_of_last_lines(3), 0U);
    EXPECT_EQ(console->offset_of_last_lines(99), 0U);
    EXPECT_EQ(console->offset_of_last_lines(0), 0U);
    guest.print("{0} ok ");
    EXPECT_EQ(console->offset_of_last_lines(1), 14U);
    guest.print(std::string(200000, 'x') + "\ny");
    EXPECT_EQ(console->offset_of_last_lines(2), 14U);
    EXPECT_EQ(*console->read(console->offset_of_last_lines(1), 10), "y");
}

TEST_F(ConsoleTest, reading_the_history_is_bounded_and_begins_at_its_start) {
    settings.history_limit = mib;
    const Guest guest(log);
    const std::string text = pattern(4 * mib);
    guest.print(text);
    reopen();
    EXPECT_EQ(*console->read(0, 100), text.substr(console->start(), 100));
    EXPECT_EQ(*console->read(4 * mib - 5, 100), text.substr(4 * mib - 5));
    EXPECT_EQ(*console->read(99 * mib, 100), "");
}

// ---- the write seat ----

TEST_F(ConsoleTest, the_first_writer_gets_the_seat_and_the_second_reads_only) {
    Client first = attach({.who = "ann"});
    Client second = attach({.who = "bob"});
    ASSERT_TRUE(wait_for_notice(first, "attached"));
    ASSERT_TRUE(wait_for_notice(second, "attached"));
    EXPECT_TRUE(first.notices[0].at("write").as_bool());
    EXPECT_FALSE(second.notices[0].at("write").as_bool());
    EXPECT_EQ(second.notices[0].at("writer"), "ann");
    EXPECT_EQ(first.notices.size(), 1U); // the seat did not change
    EXPECT_EQ(console->clients().size(), 2U);
    EXPECT_TRUE(console->clients()[0].writer);
    EXPECT_FALSE(console->clients()[1].writer);
}

TEST_F(ConsoleTest, who_cannot_make_do_with_reading_is_told_who_writes) {
    Client first = attach({.who = "ann (10.0.0.1)"});
    std::uint64_t id = 0;
    const auto refused = console->attach({.who = "bob"}, false, id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.fault().kind, FaultKind::busy);
    EXPECT_NE(refused.fault().message.find("ann (10.0.0.1)"), std::string::npos);
    EXPECT_EQ(console->clients().size(), 1U);
}

TEST_F(ConsoleTest, force_takes_the_seat_and_the_former_writer_is_told) {
    Fifo qemu(dir / "in");
    console->use_socket(dir / "in");
    Client first = attach({.who = "ann"});
    Client second = attach({.who = "bob", .force = true}, false);
    ASSERT_TRUE(wait_for_notice(first, "writer"));
    EXPECT_FALSE(first.last_notice("writer")->at("write").as_bool());
    EXPECT_EQ(first.last_notice("writer")->at("writer"), "bob");
    ASSERT_GT(first.send("dfrom ann"), 0);
    ASSERT_GT(first.send("b"), 0);
    ASSERT_GT(second.send("dfrom bob"), 0);
    EXPECT_TRUE(wait([&] {
        qemu.receive();
        return !qemu.typed.empty();
    }));
    loop.run_until([] { return false; }, milliseconds(50));
    qemu.receive();
    EXPECT_EQ(qemu.typed, "from bob");
    EXPECT_EQ(breaks, 0);
}

TEST_F(ConsoleTest, a_writer_that_leaves_frees_the_seat_and_readers_are_told) {
    Client first = attach({.who = "ann"});
    Client second = attach({.who = "bob"});
    first.close();
    ASSERT_TRUE(wait_for_notice(second, "writer"));
    EXPECT_FALSE(second.last_notice("writer")->at("write").as_bool());
    EXPECT_EQ(second.last_notice("writer")->at("writer"), "");
    EXPECT_EQ(console->clients().size(), 1U);
    Client third = attach({.who = "cyd"});
    ASSERT_TRUE(wait_for_notice(third, "attached"));
    EXPECT_TRUE(third.notices[0].at("write").as_bool());
}

TEST_F(ConsoleTest, a_reader_by_choice_leaves_the_seat_free) {
    Client reader = attach({.who = "ann", .write = false});
    Client writer = attach({.who = "bob"}, false);
    ASSERT_TRUE(wait_for_notice(reader, "writer"));
    EXPECT_EQ(reader.last_notice("writer")->at("writer"), "bob");
}

TEST_F(ConsoleTest, detaching_gives_the_reason_and_closes) {
    const Guest guest(log);
    Client first = attach({.who = "ann"});
    const std::uint64_t first_id = last_id;
    Client second = attach({.who = "bob"});
    guest.print("last words");
    console->detach(first_id, "stopped by root");
    ASSERT_TRUE(wait([&] { return !first.receive(); }));
    EXPECT_EQ(first.data, "last words");
    ASSERT_NE(first.last_notice("stopped"), nullptr);
    EXPECT_EQ(first.last_notice("stopped")->at("reason"), "stopped by root");
    console->detach_all("the host is gone");
    ASSERT_TRUE(wait([&] { return !second.receive(); }));
    EXPECT_EQ(second.last_notice("stopped")->at("reason"), "the host is gone");
    EXPECT_TRUE(console->clients().empty());
    const int before = changes;
    console->detach(first_id, "twice");
    EXPECT_EQ(changes, before);
}

TEST_F(ConsoleTest, names_from_outside_cannot_break_a_notice) {
    Client client = attach({.who = "x\"},{\n\\"});
    ASSERT_TRUE(wait_for_notice(client, "attached"));
    EXPECT_EQ(client.notices[0].at("writer"), "x\"},{\n\\");
}

// ---- input ----

TEST_F(ConsoleTest, input_is_held_back_for_a_guest_that_reads_slowly_and_arrives_whole) {
    Fifo qemu(dir / "in");
    console->use_socket(dir / "in");
    Client client = attach();
    const std::string paste = pattern(2 * mib);
    std::size_t sent = 0;
    const auto send_more = [&] {
        while (sent < paste.size() && client.send(input(paste.substr(sent, 5000))) > 0)
            sent += std::min<std::size_t>(5000, paste.size() - sent);
    };
    for (int i = 0; i < 200; ++i) { // the guest reads nothing: the way fills from end to end
        send_more();
        loop.run_until([] { return false; }, milliseconds(1));
    }
    EXPECT_LT(sent, mib);
    ASSERT_TRUE(wait([&] {
        send_more();
        qemu.receive();
        return qemu.typed.size() >= paste.size();
    }));
    EXPECT_TRUE(qemu.typed == paste);
}

TEST_F(ConsoleTest, input_reaches_a_listening_socket_and_its_output_is_thrown_away) {
    const auto listener = listen_unix(dir / "serial", 0600);
    ASSERT_TRUE(listener);
    console->use_socket(dir / "serial");
    Client client = attach();
    for (const std::string_view word : {"dhello ", "dworld"}) {
        ASSERT_GT(client.send(word), 0);
        UniqueFd qemu;
        ASSERT_TRUE(wait([&] {
            qemu.reset(accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            return static_cast<bool>(qemu);
        }));
        // The guest prints more than the socket holds before it reads: it must not stall.
        const std::string noise(3000000, 'n');
        std::size_t printed = 0;
        ASSERT_TRUE(wait([&] {
            const ssize_t count =
                send(qemu.get(), noise.data(), noise.size() - printed, MSG_NOSIGNAL | MSG_DONTWAIT);
            printed += count > 0 ? static_cast<std::size_t>(count) : 0;
            return printed == noise.size();
        }));
        // The hub does not hang up before its bytes are taken, but then it does.
        loop.run_until([] { return false; }, milliseconds(100));
        pollfd end{qemu.get(), POLLRDHUP, 0};
        EXPECT_EQ(poll(&end, 1, 0), 0);
        std::string typed;
        EXPECT_TRUE(wait([&] {
            std::array<char, 64> buffer{};
            const ssize_t count = recv(qemu.get(), buffer.data(), buffer.size(), 0);
            if (count > 0)
                typed.append(buffer.data(), static_cast<std::size_t>(count));
            return count == 0;
        }));
        EXPECT_EQ(input(typed), word);
    }
    client.receive();
    EXPECT_EQ(client.data, "");
}

TEST_F(ConsoleTest, input_goes_to_the_observer_when_diverted_or_with_nobody_to_take_it) {
    Client client = attach();
    ASSERT_GT(client.send("dno socket "), 0);
    EXPECT_TRUE(wait([&] { return diverted == "no socket "; }));
    Fifo qemu(dir / "in");
    console->use_socket(dir / "in");
    console->divert_input(true);
    ASSERT_GT(client.send("ddiverted "), 0);
    EXPECT_TRUE(wait([&] { return diverted == "no socket diverted "; }));
    console->divert_input(false);
    ASSERT_GT(client.send("dguest"), 0);
    EXPECT_TRUE(wait([&] {
        qemu.receive();
        return qemu.typed == "guest";
    }));
    qemu.stop(); // QEMU dies: its FIFO stays, with no reader
    ASSERT_GT(client.send("ddead"), 0);
    EXPECT_TRUE(wait([&] { return diverted == "no socket diverted dead"; }));
}

TEST_F(ConsoleTest, qemu_dying_with_input_on_the_way_harms_nobody) {
    Fifo qemu(dir / "in");
    console->use_socket(dir / "in");
    Client client = attach();
    const std::string piece = input(std::string(16000, 'x'));
    for (int i = 0; i < 50; ++i) {
        while (client.send(piece) > 0) {
        }
        loop.run_until([] { return false; }, milliseconds(1));
    }
    qemu.stop();
    console->use_socket("");
    ASSERT_TRUE(wait([&] { return client.send("dend") > 0; }));
    EXPECT_TRUE(wait([&] { return diverted.ends_with("end"); }));
}

TEST_F(ConsoleTest, a_held_back_writer_that_leaves_frees_the_seat) {
    Fifo qemu(dir / "in"); // reads nothing
    console->use_socket(dir / "in");
    Client writer = attach();
    for (int i = 0; i < 50; ++i) {
        while (writer.send(input(std::string(16000, 'x'))) > 0) {
        }
        loop.run_until([] { return false; }, milliseconds(1));
    }
    writer.close();
    EXPECT_TRUE(wait([&] { return console->clients().empty(); }));
}

TEST_F(ConsoleTest, a_break_is_passed_on) {
    Client client = attach();
    ASSERT_GT(client.send("b"), 0);
    EXPECT_TRUE(wait([&] { return breaks == 1; }));
}

TEST_F(ConsoleTest, what_is_typed_behind_a_break_stays_behind_it) {
    Client client = attach();
    for (const std::string_view message : {"dbefore ", "b", "dbehind ", "b", "dlast"})
        ASSERT_GT(client.send(message), 0);
    EXPECT_TRUE(wait([&] { return breaks == 1; }));
    loop.run_until([] { return false; }, milliseconds(50));
    EXPECT_EQ(diverted, "before ") << "the first break is not there yet";
    break_sent();
    EXPECT_TRUE(wait([&] { return breaks == 2; }));
    EXPECT_EQ(diverted, "before behind ");
    // Nobody says that the second one arrived: typing goes on all the same.
    EXPECT_TRUE(wait([&] { return diverted == "before behind last"; }));
}

// ---- hostile clients ----

TEST_F(ConsoleTest, nonsense_is_ignored_and_an_oversized_message_drops_that_client_only) {
    const Guest guest(log);
    Client good = attach({.who = "good", .write = false});
    Client bad = attach({.who = "bad"});
    for (const std::string_view nonsense : {"x", "n{}", "d", "?\xff\xfe"})
        ASSERT_GT(bad.send(nonsense), 0);
    ASSERT_GT(bad.send(std::string_view("\0", 1)), 0);
    ASSERT_GT(bad.send("dstill here"), 0);
    EXPECT_TRUE(wait([&] { return diverted == "still here"; }));
    ASSERT_GT(bad.send(input(std::string(16U << 10U, 'x'))), 0);
    EXPECT_TRUE(wait([&] { return !bad.receive(); }));
    EXPECT_EQ(diverted, "still here");
    EXPECT_EQ(console->clients().size(), 1U);
    guest.print("on");
    EXPECT_TRUE(wait_for(good, "on"));
}

TEST_F(ConsoleTest, clients_are_limited_in_number) {
    std::vector<Client> readers;
    for (int i = 0; i < 600; ++i)
        readers.push_back(attach({.who = "many", .write = false}));
    std::uint64_t id = 0;
    const auto refused = console->attach({.who = "one more"}, true, id);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.fault().kind, FaultKind::busy);
}

TEST_F(ConsoleTest, a_client_may_be_detached_from_inside_its_own_input) {
    console.reset();
    auto opened =
        Console::open(loop, log, settings,
                      {.input = [this](std::string_view) { console->detach_all("powered off"); }});
    ASSERT_TRUE(opened);
    console = std::move(*opened);
    Client client = attach();
    ASSERT_GT(client.send("dpower-off\r"), 0);
    ASSERT_GT(client.send("dmore"), 0);
    EXPECT_TRUE(wait([&] { return !client.receive() || client.last_notice("stopped"); }));
    EXPECT_NE(client.last_notice("stopped"), nullptr);
}

TEST(ConsoleOpen, a_log_that_cannot_be_opened_is_a_sentence) {
    Loop loop;
    const auto refused = Console::open(loop, "/nonexistent/console.log", {}, {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.fault().message.find("/nonexistent/console.log"), std::string::npos);
}

} // namespace
} // namespace lom::kvms::test
