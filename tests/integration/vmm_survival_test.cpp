// A service processor that is killed at any instant: the next one goes on.
#include "tests/integration/vmm_host_support.h"

#include <random>

namespace lom::vmm::test {
namespace {

class SurvivalTest : public HostTest {
  protected:
    /// Runs `life` as a service processor of its own, for `milliseconds` and then kills it -9.
    void live_and_die(int milliseconds, const std::function<void()>& life) {
        const pid_t child = fork();
        if (child == 0) {
            life();
            _exit(0);
        }
        ASSERT_GT(child, 0);
        loop.run_until([] { return false; }, std::chrono::milliseconds(milliseconds));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }

    std::size_t processes() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
            const auto line = read_file(entry.path() / "cmdline");
            if (line && line->find("qemu-system") != std::string::npos &&
                line->find(environment.run_dir) != std::string::npos)
                ++count;
        }
        return count;
    }
};

TEST_F(SurvivalTest, killed_at_random_while_it_resets_and_boots) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    host.reset();
    std::mt19937 random(std::random_device{}());
    for (int round = 0; round < 25; ++round) {
        const int life_span = static_cast<int>(random() % 200);
        SCOPED_TRACE("round " + std::to_string(round) + ", " + std::to_string(life_span) + " ms");
        // A loop of its own: the parent's must not be used in the child.
        ASSERT_NO_FATAL_FAILURE(live_and_die(life_span, [this] {
            Loop own;
            auto opened = Host::open(own, environment, initial,
                                     {.changed = [] {},
                                      .event = [](const HostEvent&) {},
                                      .prompt_text = [](std::string_view) {},
                                      .serial = [](const std::string&) {}});
            if (!opened)
                return;
            Host& mine = **opened;
            std::function<void(Result<void>)> again = [&](const Result<void>&) {
                own.post([&] { mine.reset(again); });
            };
            mine.start(again);
            if (mine.power_state() == PowerState::on)
                own.run_until([&] { return mine.status() == HostStatus::powered_on; }, 10s);
            mine.reset(again);
            own.run_until([] { return false; }, 10s);
        }));
        events.clear();
        open();
        ASSERT_FALSE(HasFatalFailure());
        ASSERT_TRUE(wait([&] { return host->status() != HostStatus::starting; }, 4s)) << events;
        if (host->power_state() == PowerState::off) {
            EXPECT_EQ(round, 0) << events; // killed before it had started anything
            ASSERT_TRUE(start()) << refusal;
        }
        EXPECT_EQ(host->status(), HostStatus::powered_on) << host->status_detail() << events;
        EXPECT_EQ(events.find("lost its power"), std::string::npos) << events;
        EXPECT_EQ(processes(), 1U);
        host.reset();
    }
    open();
    ASSERT_TRUE(wait_status(HostStatus::powered_on));
    ASSERT_TRUE(stop(true)) << refusal;
    EXPECT_EQ(processes(), 0U);
}

} // namespace
} // namespace lom::vmm::test
