// Who is served and who waits, with real TCP connections and small limits.
#include "sp/service/ssh_lobby.h"

#include "sp/service/ssh_door.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <vector>

using namespace lom;
using namespace std::chrono_literals;

namespace {

struct Lobby : testing::Test {
    Lobby() {
        sockaddr_in address{};
        socklen_t size = sizeof(address);
        getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port = address.sin_port;
    }

    /// A client that has connected and said that many bytes; the number by which it is known.
    std::size_t arrives(const std::string& source, std::size_t bytes = 0) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = port;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(0, connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)));
        const std::string said(bytes, 'x');
        EXPECT_EQ(static_cast<ssize_t>(bytes), send(client.get(), said.data(), bytes, 0));
        UniqueFd accepted;
        loop.run_until(
            [&] {
                accepted.reset(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
                return static_cast<bool>(accepted);
            },
            5s);
        clients.push_back(std::move(client));
        lobby.arrived(std::move(accepted), source);
        return clients.size() - 1;
    }

    bool is_cut(std::size_t client) {
        char byte = 0;
        return recv(clients[client].get(), &byte, 1, MSG_DONTWAIT) == 0;
    }

    bool soon(const std::function<bool()>& condition) { return loop.run_until(condition, 5s); }

    Loop loop;
    UniqueFd listener = std::move(*listen_tcp("127.0.0.1", 0));
    in_port_t port = 0;
    std::vector<UniqueFd> clients;
    std::vector<std::uint64_t> served; ///< in their order
    std::vector<std::string> sources;
    bool able = true;
    SshLobby lobby{loop,
                   {.strangers = 3,
                    .strangers_of_a_source = 2,
                    .served = 4,
                    .waiting = 5,
                    .patience = 60s,
                    .silence = 100ms,
                    .slowness = 200ms},
                   [this](std::uint64_t id, int, const std::string& source) {
                       if (!able)
                           return false;
                       served.push_back(id);
                       sources.push_back(source);
                       return true;
                   }};
};

} // namespace

TEST_F(Lobby, a_source_does_not_take_all_places) {
    for (int i = 0; i < 4; ++i)
        arrives("10.0.0.1", 1000);
    EXPECT_EQ(2U, served.size());
    EXPECT_EQ(2U, lobby.waiting());
    arrives("10.0.0.2", 1000);
    EXPECT_TRUE(soon([&] { return served.size() == 3; }));
    EXPECT_EQ("10.0.0.2", sources.back());
    lobby.logged_in(served[0]); // no stranger any more
    EXPECT_TRUE(soon([&] { return served.size() == 4; }));
    lobby.left(served[1]);
    lobby.left(served[2]);
    EXPECT_TRUE(soon([&] { return lobby.waiting() == 0; }));
}

TEST_F(Lobby, the_silent_make_way_for_those_who_speak) {
    const std::size_t first = arrives("10.0.0.1");
    const std::size_t second = arrives("10.0.0.1");
    arrives("10.0.0.1");
    EXPECT_EQ(2U, served.size());
    arrives("10.0.0.1", 1000);
    EXPECT_TRUE(soon([&] { return served.size() == 3; }));
    EXPECT_TRUE(is_cut(first));
    EXPECT_FALSE(is_cut(second)) << "one place is enough";
}

TEST_F(Lobby, too_little_said_makes_way_later) {
    const std::size_t half = arrives("10.0.0.1", 12);
    const std::size_t whole = arrives("10.0.0.1", 1000);
    arrives("10.0.0.1", 1000);
    EXPECT_EQ(2U, served.size());
    EXPECT_TRUE(soon([&] { return served.size() == 3; }));
    EXPECT_TRUE(is_cut(half));
    EXPECT_FALSE(is_cut(whole));
}

TEST_F(Lobby, those_who_logged_in_are_never_cut_and_fill_the_house) {
    for (int i = 0; i < 4; ++i) {
        arrives("10.0.0." + std::to_string(i), 1000);
        ASSERT_EQ(static_cast<std::size_t>(i + 1), served.size());
        lobby.logged_in(served.back());
    }
    arrives("10.0.0.9", 1000);
    EXPECT_EQ(4U, served.size());
    lobby.left(served.front());
    EXPECT_TRUE(soon([&] { return served.size() == 5; }));
}

TEST_F(Lobby, a_full_waiting_room_sends_the_silent_away) {
    able = false;
    const std::size_t silent = arrives("10.0.0.1");
    for (int i = 0; i < 5; ++i)
        arrives("10.0.0.1", 1000);
    EXPECT_EQ(5U, lobby.waiting());
    EXPECT_TRUE(is_cut(silent));
    able = true; // lom-ssh is there again
    EXPECT_TRUE(soon([&] { return served.size() == 2; }));
}

TEST_F(Lobby, who_hangs_up_waits_no_more) {
    able = false;
    arrives("10.0.0.1");
    EXPECT_EQ(1U, lobby.waiting());
    clients.clear();
    EXPECT_TRUE(soon([&] { return lobby.waiting() == 0; }));
}
