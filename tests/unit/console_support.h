// What the console tests share: a folder that goes away, a client as lom is one, and a stand-in for
// QEMU's side of the serial device (its FIFO or socket, and its log opened for appending).
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/stream.h"
#include "kvms/console/console.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lom::kvms::test {

inline constexpr std::chrono::seconds limit{50};

class TempDir {
  public:
    TempDir() {
        std::string pattern = std::filesystem::temp_directory_path() / "lom-console-XXXXXX";
        path_ = mkdtemp(pattern.data());
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

/// The log as QEMU holds it.
class Guest {
  public:
    explicit Guest(const std::string& log)
        : log_(::open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) {}
    void print(std::string_view text) const {
        ASSERT_EQ(write(log_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

  private:
    UniqueFd log_;
};

class Client {
  public:
    explicit Client(UniqueFd socket) : socket_(std::move(socket)) {}

    /// Takes all messages that have come; `most` data messages at most. False once it is closed.
    bool receive(int most = 1 << 30) {
        std::array<char, 32768> buffer; // NOLINT
        for (int i = 0; i < most && open_; ++i) {
            const ssize_t count = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (count < 0)
                return true;
            if (count == 0) {
                open_ = false;
                break;
            }
            take(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
        }
        return open_;
    }
    ssize_t send(std::string_view message) const {
        return ::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    const boost::json::object* last_notice(std::string_view type) const {
        for (auto it = notices.rbegin(); it != notices.rend(); ++it)
            if (it->at("type").as_string() == type)
                return &*it;
        return nullptr;
    }
    int fd() const { return socket_.get(); }
    void close() { socket_.reset(); }

    std::string data;
    std::vector<boost::json::object> notices;
    std::uint64_t skipped = 0;
    std::size_t largest = 0;

  private:
    void take(std::string_view message) {
        largest = std::max(largest, message.size());
        if (message[0] == 'd') {
            data += message.substr(1);
            return;
        }
        ASSERT_EQ(message[0], 'n');
        notices.push_back(boost::json::parse(std::string(message.substr(1))).as_object());
        if (notices.back().at("type").as_string() == "skipped")
            skipped += notices.back().at("bytes").to_number<std::uint64_t>();
    }

    UniqueFd socket_;
    bool open_ = true;
};

/// Bytes whose every position can be told from its neighbours: losses and doubles show.
inline std::string pattern(std::size_t size, std::uint64_t seed = 1) {
    std::string text(size, '\0');
    std::uint64_t state = seed * 0x9E3779B97F4A7C15U;
    for (char& byte : text) {
        state ^= state << 13U;
        state ^= state >> 7U;
        state ^= state << 17U;
        byte = static_cast<char>(state >> 32U);
    }
    return text;
}

class ConsoleTest : public testing::Test {
  protected:
    void SetUp() override { reopen(); }

    void reopen() {
        console.reset();
        auto opened = Console::open(
            loop, log, settings,
            {.input = [this](std::string_view bytes) { diverted += bytes; },
             .send_break =
                 [this](std::function<void()> sent) {
                     ++breaks;
                     break_sent = std::move(sent);
                 },
             .changed = [this] { ++changes; },
             .trouble = [this](const std::string& sentence) { troubles.push_back(sentence); }});
        ASSERT_TRUE(opened) << opened.fault().message;
        console = std::move(*opened);
    }
    Client attach(AttachRequest request = {.who = "root (test)"}, bool read_only_ok = true) {
        auto fd = console->attach(request, read_only_ok, last_id);
        EXPECT_TRUE(fd) << fd.fault().message;
        return Client(fd ? std::move(*fd) : UniqueFd());
    }
    bool wait(const std::function<bool()>& done) {
        const auto tick = loop.every(std::chrono::milliseconds(1), [] {}); // looks at `done` again
        return loop.run_until(done, limit);
    }
    bool wait_for(Client& client, std::string_view data) {
        return wait([&] {
                   client.receive();
                   return client.data.size() >= data.size();
               }) &&
               client.data == data;
    }
    bool wait_for_notice(Client& client, std::string_view type) {
        return wait([&] {
            client.receive();
            return client.last_notice(type) != nullptr;
        });
    }

    TempDir dir;
    Loop loop;
    std::string log = dir / "console.log";
    Console::Settings settings;
    std::unique_ptr<Console> console;
    std::uint64_t last_id = 0;
    std::string diverted;
    int breaks = 0;
    std::function<void()> break_sent;
    int changes = 0;
    std::vector<std::string> troubles;
};

} // namespace lom::kvms::test
