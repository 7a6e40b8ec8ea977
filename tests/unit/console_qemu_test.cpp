// The console against a real QEMU, in both shapes that its serial device may have.
#include "base/process.h"
#include "tests/unit/console_support.h"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace lom::kvms::test {
namespace {

// Real-mode code: enables the 16550's FIFOs, prints `count` lines of eight hexadecimal digits that
// count up, as fast as it can, then echoes what is typed.
constexpr std::array<unsigned char, 90> code = {
    0x31, 0xc0, 0x8e, 0xd8, 0xba, 0xfa, 0x03, 0xb0, 0x07, 0xee, 0x66, 0x31, 0xdb, 0x66, 0x89,
    0xd8, 0xb9, 0x08, 0x00, 0x66, 0xc1, 0xc0, 0x04, 0x66, 0x50, 0x24, 0x0f, 0x3c, 0x0a, 0x72,
    0x02, 0x04, 0x27, 0x04, 0x30, 0xe8, 0x25, 0x00, 0x66, 0x58, 0xe2, 0xe9, 0xb0, 0x0a, 0xe8,
    0x1c, 0x00, 0x66, 0x43, 0x66, 0x81, 0xfb, 0x1d, 0xc7, 0x11, 0x00, 0x72, 0xd3, 0xba, 0xfd,
    0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, 0xba, 0xf8, 0x03, 0xec, 0xe8, 0x02, 0x00, 0xeb, 0xef,
    0x50, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74, 0xfb, 0x58, 0xba, 0xf8, 0x03, 0xee, 0xc3};
constexpr std::size_t count_at = 0x34;

void write_boot_disk(const std::string& path, std::uint32_t count) {
    std::array<char, 512> sector{};
    std::memcpy(sector.data(), code.data(), code.size());
    std::memcpy(sector.data() + count_at, &count, sizeof(count));
    sector[510] = '\x55';
    sector[511] = '\xAA';
    std::ofstream(path).write(sector.data(), sector.size());
}

std::string lines(std::uint32_t count) {
    std::string text;
    std::array<char, 10> line{};
    for (std::uint32_t i = 0; i < count; ++i)
        text.append(line.data(),
                    static_cast<std::size_t>(std::snprintf(line.data(), line.size(), "%08x\n", i)));
    return text;
}

class ConsoleQemu : public ConsoleTest {
  protected:
    void TearDown() override {
        if (qemu.pid != 0) {
            send_signal(qemu, SIGKILL);
            waitpid(qemu.pid, nullptr, 0);
        }
    }
    /// Starts a guest whose serial device is `chardev`.
    void start(const std::string& chardev, std::uint32_t count) {
        write_boot_disk(dir / "disk", count);
        const auto started = spawn(
            {.argv = {"qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-m", "16", "-display",
                      "none", "-drive", "if=none,id=d,format=raw,file=" + dir / "disk", "-device",
                      "ide-hd,drive=d", "-chardev",
                      chardev + ",id=ser0,logfile=" + log + ",logappend=on", "-serial",
                      "chardev:ser0"},
             .stderr_path = dir / "stderr"});
        if (!started)
            GTEST_SKIP() << "needs qemu-system-x86_64: " << started.fault().message;
        qemu = *started;
    }
    std::string fifo() {
        EXPECT_EQ(mkfifo((dir / "ser0.in").c_str(), 0600), 0);
        std::filesystem::create_symlink("/dev/null", dir / "ser0.out");
        console->use_socket(dir / "ser0.in");
        return "pipe,path=" + dir / "ser0";
    }
    std::string socket() {
        console->use_socket(dir / "ser0.sock");
        return "socket,server=on,wait=off,path=" + dir / "ser0.sock";
    }
    void expect_output_and_echo(std::uint32_t count) {
        std::string expected = lines(count);
        Client client = attach({.who = "root", .offset = 0});
        EXPECT_TRUE(wait_for(client, expected));
        for (const std::string_view word : {"dhello", "d again"}) {
            EXPECT_GT(client.send(word), 0);
            expected += word.substr(1);
            EXPECT_TRUE(wait_for(client, expected));
        }
        EXPECT_EQ(client.skipped, 0U);
        EXPECT_EQ(diverted, "");
    }
    ProcessId qemu;
};

TEST_F(ConsoleQemu, ten_megabytes_from_a_guest_arrive_whole_and_typing_reaches_it) {
    settings.history_limit = 32U << 20U;
    reopen();
    constexpr std::uint32_t count = (10U << 20U) / 9 + 1;
    start(fifo(), count);
    if (!IsSkipped())
        expect_output_and_echo(count);
}

TEST_F(ConsoleQemu, a_listening_socket_serves_as_well) {
    start(socket(), 100000);
    if (!IsSkipped())
        expect_output_and_echo(100000);
}

TEST_F(ConsoleQemu, typing_into_a_flood_leaves_the_record_exact) {
    constexpr std::uint32_t count = 100000;
    start(fifo(), count);
    if (IsSkipped())
        return;
    Client client = attach({.who = "root", .offset = 0});
    ASSERT_TRUE(wait([&] {
        client.receive();
        return !client.data.empty();
    }));
    // More than the UART holds, so that input waits in QEMU while the guest prints.
    const std::string typed(500, 'x');
    ASSERT_GT(client.send("d" + typed), 0);
    EXPECT_TRUE(wait_for(client, lines(count) + typed));
}

} // namespace
} // namespace lom::kvms::test
