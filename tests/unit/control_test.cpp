// The control protocol: its wire form, and real sockets between the server and the client.
#include "base/stream.h"
#include "sp/control/client.h"
#include "sp/control/server.h"
#include "sp/control/wire.h"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <cstdlib>
#include <future>
#include <random>
#include <thread>

using namespace lom;
using namespace lom::control;
using namespace std::chrono_literals;

TEST(Wire, takes_frames_apart_however_they_are_cut) {
    const std::string bytes = frame("{\"a\":1}") + frame("") + frame("{}");
    FrameReader reader(1000);
    std::vector<std::string> messages;
    for (const char c : bytes) {
        ASSERT_TRUE(reader.feed({&c, 1}));
        while (auto message = reader.next())
            messages.push_back(*message);
    }
    EXPECT_EQ((std::vector<std::string>{"{\"a\":1}", "", "{}"}), messages);
}

TEST(Wire, refuses_a_length_beyond_the_limit_before_the_body_comes) {
    FrameReader reader(1000);
    EXPECT_FALSE(reader.feed(std::string("\x7f\xff\xff\xff", 4)));
}

TEST(Wire, requests_and_replies_survive_the_round_trip) {
    Request request{.id = 7,
                    .op = "run",
                    .target = "/SYS",
                    .verb = "stop",
                    .force = true,
                    .properties = {{"a", "b"}},
                    .console_offset = 99,
                    .resumed = true};
    const auto back = decode_request(encode(request));
    ASSERT_TRUE(back);
    EXPECT_EQ("stop", back->verb);
    EXPECT_TRUE(back->force && back->resumed);
    EXPECT_EQ(99U, back->console_offset);
    EXPECT_EQ("b", back->properties.at(0).second);

    TargetView view;
    view.path = "/SP";
    view.expanded = true;
    view.properties = {{"p", "text", "\"text\""}};
    view.table = Table{"Event", {"ID", "Description"}, {5, 0}, {{"1", "Fan slow"}}};
    TargetView child;
    child.name = "users";
    child.note = "2";
    view.targets = {child};
    const auto view_back = decode_view(encode_reply(1, view));
    ASSERT_TRUE(view_back);
    EXPECT_EQ("users", view_back->targets.at(0).name);
    EXPECT_EQ("2", view_back->targets.at(0).note);
    EXPECT_EQ((std::vector<std::size_t>{5, 0}), view_back->table->widths);
    EXPECT_EQ("1", view_back->table->rows.at(0).at(0));

    const auto fault = decode_done(encode_fault(1, {FaultKind::busy, "Somebody has it."}));
    ASSERT_FALSE(fault);
    EXPECT_EQ(FaultKind::busy, fault.fault().kind);
}

TEST(Wire, random_bytes_never_do_harm) {
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string text = encode(Request{.id = 1, .op = "set", .target = "/SP", .value = "x"});
        for (int i = 0; i < 3; ++i)
            text[random() % text.size()] = static_cast<char>(random());
        (void)decode_request(text);
        (void)decode_view(text);
        (void)decode_description(text);
    }
}

TEST(Wire, replaces_what_is_not_utf8) {
    EXPECT_EQ("gr\xc3\xbc\xc3\x9f", valid_utf8("gr\xc3\xbc\xc3\x9f"));
    EXPECT_EQ("a\xef\xbf\xbd"
              "b",
              valid_utf8("a\xff"
                         "b"));
    EXPECT_EQ("\xef\xbf\xbd\xef\xbf\xbd", valid_utf8("\xc0\x80"));
    EXPECT_EQ("\xef\xbf\xbd", valid_utf8("\xe2"));
}

namespace {

/// A real server on a thread of its own, with a small tree.
struct Service : testing::Test {
    Service() {
        EXPECT_NE(nullptr, mkdtemp(folder.data()));
        std::promise<void> ready;
        thread = std::thread([this, &ready] { serve(ready); });
        ready.get_future().wait();
    }
    ~Service() override {
        loop->stop();
        thread.join();
        (void)!system(("rm -rf " + folder).c_str());
    }

    void serve(std::promise<void>& ready) {
        Loop own_loop;
        loop = &own_loop;
        auto database = std::move(*Database::open(folder + "/db"));
        Accounts accounts(own_loop, *database);
        Sessions sessions(own_loop, *database, 5s);
        bool made = false;
        accounts.create("anna", Role::read_only, "correct horse",
                        [&](const Result<void>&) { made = true; });
        own_loop.run_until([&] { return made; }, 10s);
        auto root = Target::make("", "root");
        auto sp = Target::make("SP", "The service processor.");
        sp->managed<std::string>(
            {.name = "slow",
             .doc = "Answers later.",
             .write = Role::read_only,
             .set = [&](const Caller&, const std::string&, const Property::Done& done) {
                 timer = own_loop.after(100ms, [done] { done(SetOutcome{"at last"}); });
             }});
        sp->shows<std::string>("who", "x", [] { return std::string("me"); });
        root->child(sp);
        Tree tree(root, [](const AuditRecord&) {});
        DoorSettings doors(*database);
        Events changes(own_loop);
        Server server({own_loop, tree, accounts, sessions, [] { return std::string("sp1"); }, doors,
                       [](const Caller&, const Accounts::Verdict&) {}, changes,
                       [](const std::string&) { return false; }});
        (void)server.listen(folder + "/control.sock");
        door = std::move(*server.door_descriptor());
        end_sessions_of = [&](const std::string& name) {
            own_loop.post([&sessions, name] { sessions.end_all_of(name); });
        };
        ready.set_value();
        own_loop.run();
        timer.reset();
    }

    std::string folder = "/tmp/lom-control-XXXXXX";
    Loop* loop = nullptr;
    Loop::Handle timer;
    UniqueFd door;
    std::function<void(const std::string&)> end_sessions_of;
    std::thread thread;
};

} // namespace

TEST_F(Service, the_local_administrator_sees_the_tree) {
    auto client = Client::connect_local(folder);
    ASSERT_TRUE(client) << client.fault().message;
    EXPECT_EQ("root", client->hello().account);
    EXPECT_EQ("aucros", client->hello().roles);
    EXPECT_EQ("sp1", client->hello().hostname);
    EXPECT_EQ("me", client->show("/sp", 1)->properties.at(1).text);
    EXPECT_EQ("at last", client->set("/SP", "slow", "x")->message);
    EXPECT_EQ("The service processor.", client->describe("/SP")->doc);
    EXPECT_EQ(FaultKind::not_found, client->show("/none", 1).fault().kind);
}

TEST_F(Service, a_door_logs_people_in_and_opens_sessions_for_them) {
    auto client = Client::from_fd(std::move(door), folder);
    ASSERT_TRUE(client);
    EXPECT_EQ("", client->hello().account);
    EXPECT_EQ(FaultKind::denied, client->show("/", 1).fault().kind);
    EXPECT_EQ(FaultKind::denied, client->authenticate("anna", "wrong", "10.0.0.1").fault().kind);
    EXPECT_EQ(FaultKind::denied, client->authenticate("nobody", "wrong", "10.0.0.1").fault().kind);
    ASSERT_TRUE(client->authenticate("anna", "correct horse", "10.0.0.1"));
    auto fd = client->open_session("shell");
    ASSERT_TRUE(fd);
    auto session = Client::from_fd(std::move(fd->fd), folder);
    ASSERT_TRUE(session);
    EXPECT_EQ("anna", session->hello().account);
    EXPECT_EQ("o", session->hello().roles);
    EXPECT_TRUE(session->show("/SP", 1));
    EXPECT_FALSE(session->open_session("shell")); // only doors may
}

TEST_F(Service, a_ticket_takes_the_session_up_again_until_it_is_ended) {
    auto client = Client::from_fd(std::move(door), folder);
    ASSERT_TRUE(client && client->authenticate("anna", "correct horse", "10.0.0.1"));
    auto session = Client::from_fd(std::move(client->open_session("shell")->fd), folder);
    ASSERT_TRUE(session);
    const UniqueFd keep(dup(session->fd())); // the session goes on, whoever else comes and goes
    ASSERT_TRUE(session->resume(5s));
    EXPECT_EQ("anna", session->hello().account);
    EXPECT_TRUE(session->show("/SP", 1));
    end_sessions_of("anna");
    EXPECT_FALSE(session->show("/SP", 1) && session->show("/SP", 1));
    EXPECT_EQ(FaultKind::denied, session->resume(5s).fault().kind);
}

TEST_F(Service, garbage_closes_only_its_own_connection) {
    auto good = Client::connect_local(folder);
    ASSERT_TRUE(good);
    auto bad = connect_unix(folder + "/control.sock");
    ASSERT_TRUE(bad);
    ASSERT_GT(send(bad->get(), "\xff\xff\xff\xff garbage", 12, MSG_NOSIGNAL), 0);
    EXPECT_TRUE(good->show("/", 1));
}
