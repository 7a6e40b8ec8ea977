// A person on a console, with the test as lomd at the other end of the SEQPACKET socket.
#include "tests/unit/shell_fakes.h"

#include "shell/console_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

namespace lom::shell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Opens consoles; keeps lomd's end of the newest and every request.
class ConsoleTree final : public Tree {
  public:
    const control::Hello& hello() const override { return hello_; }
    Result<control::TargetView> show(const std::string&, int) override { return unused(); }
    Result<control::TargetDescription> describe(const std::string&) override { return unused(); }
    Result<control::SetReply> set(const std::string&, const std::string&,
                                  const std::string&) override {
        return unused();
    }
    Result<control::RunReply> run(const control::RunRequest& request) override {
        requests.push_back(request);
        if (refusals.empty())
            return open();
        const Fault fault = refusals.back();
        refusals.pop_back();
        return fault;
    }

    control::RunReply open() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        lomd.reset(ends[0]);
        control::RunReply reply;
        reply.stream = "console";
        reply.escape = "#.";
        reply.fd.reset(ends[1]);
        if (on_open)
            on_open();
        return reply;
    }

    void send(const std::string& message) const {
        EXPECT_EQ(::send(lomd.get(), message.data(), message.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(message.size()));
    }

    UniqueFd lomd;
    std::vector<control::RunRequest> requests;
    std::vector<Fault> refusals; ///< of the next openings, the last one first
    std::function<void()> on_open;

  private:
    static Fault unused() { return {FaultKind::internal, "not part of this test"}; }
    control::Hello hello_;
};

class ConsoleTest : public ::testing::Test {
  protected:
    void SetUp() override {
        int pipe_ends[2];
        ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
        input_.reset(pipe_ends[0]);
        typed_.reset(pipe_ends[1]);
        ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
        seen_.reset(pipe_ends[0]);
        output_.reset(pipe_ends[1]);
        request_.target = "/SP/console";
        request_.verb = "start";
    }

    void type(const std::string& bytes) const {
        ASSERT_EQ(write(typed_.get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
    }

    /// Runs the session to its end and gives what it printed.
    std::string run() {
        control::RunReply reply = tree_.open();
        if (before_run)
            before_run();
        EXPECT_TRUE(ConsoleSession(tree_, request_, {input_.get(), output_.get(), &ahead_, "\r\n"})
                        .run(std::move(reply)));
        output_.reset();
        std::string text;
        std::array<char, 4096> buffer{};
        ssize_t count = 0;
        while ((count = read(seen_.get(), buffer.data(), buffer.size())) > 0)
            text.append(buffer.data(), static_cast<std::size_t>(count));
        return text;
    }

    std::vector<std::string> received() const {
        std::vector<std::string> messages;
        std::array<char, 8192> buffer{};
        ssize_t count = 0;
        while ((count = recv(tree_.lomd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0)
            messages.emplace_back(buffer.data(), static_cast<std::size_t>(count));
        return messages;
    }

    ConsoleTree tree_;
    control::RunRequest request_;
    UniqueFd input_;
    UniqueFd typed_;
    UniqueFd output_;
    UniqueFd seen_;
    std::string ahead_;
    std::function<void()> before_run;
};

const std::string attached = R"(n{"type":"attached","offset":1000,"write":true,"writer":"me"})";
const std::string stopped = R"(n{"type":"stopped","reason":"stopped by root"})";

TEST_F(ConsoleTest, BytesGoBothWaysUntilTheEscape) {
    type("ls\x03\r#.show /SP\r");
    before_run = [this] {
        tree_.send(attached);
        tree_.send("dlogin: ");
    };
    EXPECT_THAT(run(), ::testing::StartsWith("Serial console started.  To stop, type #.\r\n"));
    EXPECT_THAT(received(), ElementsAre("dls\x03\r"));
    EXPECT_EQ(ahead_, "show /SP\r") << "what follows the escape is for the prompt";
}

TEST_F(ConsoleTest, EscAndBTogetherAreABreak) {
    type("a\033Bb\033[B\033B#.");
    before_run = [this] { tree_.send(attached); };
    run();
    EXPECT_THAT(received(), ElementsAre("da", "b", "db\033[B", "b"));
}

TEST_F(ConsoleTest, EscThenBByHandIsForTheHost) {
    type("\033");
    std::thread person;
    before_run = [&] {
        tree_.send(attached);
        person = std::thread([this] {
            // The ESC has arrived: it is not held back for a B that may follow.
            std::array<char, 16> buffer{};
            const ssize_t count = recv(tree_.lomd.get(), buffer.data(), buffer.size(), 0);
            EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(count)), "d\033");
            type("B#.");
        });
    };
    run();
    person.join();
    EXPECT_THAT(received(), ElementsAre("dB"));
}

TEST_F(ConsoleTest, StopEndsItWithTheReason) {
    before_run = [this] {
        tree_.send(attached);
        tree_.send("dabc");
        tree_.send(stopped);
    };
    EXPECT_EQ(run(), "Serial console started.  To stop, type #.\r\nabc\r\n[stopped by root]\r\n"
                     "\r\nSerial console stopped.\r\n");
    EXPECT_TRUE(tree_.requests.empty());
}

TEST_F(ConsoleTest, ComesBackWhereItWas) {
    before_run = [this] {
        tree_.send(attached);
        tree_.send("done ");
        tree_.send(R"(n{"type":"skipped","bytes":50})");
        tree_.send("dtwo ");
        tree_.refusals = {{FaultKind::unavailable, "not yet"}};
        tree_.on_open = [this] {
            tree_.send(R"(n{"type":"attached","offset":1058,"write":true,"writer":"me"})");
            tree_.send("dthree");
            tree_.send(stopped);
        };
        tree_.lomd.reset();
    };
    const std::string text = run();
    EXPECT_THAT(text, HasSubstr("one \r\n[50 bytes of the console are lost here"));
    EXPECT_THAT(text, HasSubstr("two three"));
    ASSERT_EQ(tree_.requests.size(), 2U);
    EXPECT_EQ(tree_.requests.back().console_offset, 1058U);
    EXPECT_TRUE(tree_.requests.back().resumed);
    EXPECT_TRUE(tree_.requests.back().force) << "the writer gets its seat back";
}

TEST_F(ConsoleTest, AReaderComesBackAsAReader) {
    before_run = [this] {
        tree_.send(R"(n{"type":"attached","offset":0,"write":false,"writer":"root at 10.0.0.9"})");
        tree_.on_open = [this] { tree_.send(stopped); };
        tree_.lomd.reset();
    };
    EXPECT_THAT(run(), HasSubstr("[read-only console session: root at 10.0.0.9 has the right to "
                                 "type; start -force /SP/console takes it]\r\n"));
    ASSERT_EQ(tree_.requests.size(), 1U);
    EXPECT_FALSE(tree_.requests.front().force);
}

TEST_F(ConsoleTest, EndsWhenTheWayBackIsRefused) {
    before_run = [this] {
        tree_.send(attached);
        tree_.refusals = {{FaultKind::denied, "The session has ended; log in again."}};
        tree_.lomd.reset();
    };
    EXPECT_THAT(run(), HasSubstr("[The session has ended; log in again.]\r\n"));
}

TEST_F(ConsoleTest, EndOfInputIsQuietLongEnough) {
    type("uname\r");
    typed_.reset();
    before_run = [this] { tree_.send(attached); };
    EXPECT_THAT(run(), HasSubstr("Serial console stopped."));
    EXPECT_THAT(received(), ElementsAre("duname\r"));
}

TEST_F(ConsoleTest, AWatcherStaysUntilItsOutputCloses) {
    typed_.reset(); // </dev/null
    ASSERT_NE(std::signal(SIGPIPE, SIG_IGN), SIG_ERR);
    UniqueFd gone = std::move(seen_);
    before_run = [this, &gone] {
        tree_.send(attached);
        gone.reset();
    };
    run(); // comes back at all
}

TEST_F(ConsoleTest, AHalfEscapeIsPassedOnAfterAWhile) {
    type("#");
    std::thread guest;
    before_run = [this, &guest] {
        tree_.send(attached);
        guest = std::thread([this] {
            std::array<char, 64> buffer{};
            EXPECT_EQ(recv(tree_.lomd.get(), buffer.data(), buffer.size(), 0), 2);
            EXPECT_STREQ(buffer.data(), "d#");
            tree_.send(stopped);
        });
    };
    EXPECT_THAT(run(), HasSubstr("[stopped by root]"));
    guest.join();
}

} // namespace
} // namespace lom::shell
