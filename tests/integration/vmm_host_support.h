// A host with a real QEMU for the tests of vmm::Host: two folders, a guest of one boot sector, and
// what the host told its observer.
#pragma once

#include "base/files.h"
#include "base/process.h"
#include "vmm/command_line.h"
#include "vmm/host.h"
#include "vmm/runtime_record.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

namespace lom::vmm::test {

using namespace std::chrono_literals;

/// Runs a tool to its end; false when it fails or is not there.
inline bool run_tool(const std::vector<std::string>& argv) {
    const auto tool = spawn({.argv = argv, .stderr_path = "/dev/null"});
    int status = -1;
    return tool && waitpid(tool->pid, &status, 0) == tool->pid && status == 0;
}

inline void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

class HostTest : public testing::Test {
  protected:
    void SetUp() override {
        char folder[] = "/tmp/lom-host-XXXXXX";
        ASSERT_NE(mkdtemp(folder), nullptr);
        top = folder;
        environment.dir = top + "/d";
        environment.run_dir = top + "/r";
        initial.name = "h0";
        initial.memory_mib = 64;
        if (!run_tool({"qemu-system-x86_64", "--version"}))
            GTEST_SKIP() << "needs qemu-system-x86_64";
        if (!assemble("disk", top + "/disk.bin") || !make_iso())
            GTEST_SKIP() << "needs nasm, xorriso";
        std::filesystem::resize_file(top + "/disk.bin", disk_size);
    }

    void TearDown() override {
        host.reset();
        const auto record = load_runtime_record(files().runtime_record());
        if (record && record->process.pid > 0 && send_signal(record->process, SIGKILL))
            waitpid(record->process.pid, nullptr, 0);
        std::filesystem::remove_all(top);
    }

    HostFiles files() const { return {environment.dir, environment.run_dir}; }
    std::string iso() const { return top + "/cd.iso"; }

    static bool assemble(const std::string& name, const std::string& to) {
        return run_tool({"nasm", "-f", "bin", "-DNAME=\"" + name + "\"",
                         LOM_SOURCE_DIR "/tests/support/host_guest.asm", "-o", to});
    }

    bool make_iso() const {
        const std::string tree = top + "/iso";
        std::filesystem::create_directories(tree);
        return assemble("cdrom", tree + "/boot.bin") &&
               run_tool({"xorriso", "-as", "mkisofs", "-quiet", "-V", "HOSTTEST", "-o", iso(), "-b",
                         "boot.bin", "-no-emul-boot", "-boot-load-size", "1", "-c", "boot.cat",
                         tree});
    }

    void open() {
        auto opened = try_open();
        ASSERT_TRUE(opened) << opened.fault().message;
        host = std::move(*opened);
    }

    Result<std::unique_ptr<Host>> try_open() {
        return Host::open(loop, environment, initial,
                          {.changed =
                               [this] {
                                   if (host &&
                                       (statuses.empty() || statuses.back() != host->status()))
                                       statuses.push_back(host->status());
                               },
                           .event = [this](const HostEvent& event) { events += event.text + "\n"; },
                           .prompt_text = [this](std::string_view text) { prompt += text; },
                           .serial = [this](const std::string& fifo) { serial = fifo; }});
    }

    /// lomd goes away and comes again; QEMU does not notice.
    void reopen() {
        host.reset();
        open();
    }

    /// A host that is off, with a disk that the guest boots from.
    void open_with_disk() {
        open();
        HostDefinition definition = host->definition();
        definition.disks = {{"disk0", disk_size}};
        ASSERT_TRUE(done([&](Host::Done d) { host->redefine(definition, d); }));
        ASSERT_TRUE(run_tool({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", top + "/disk.bin",
                              files().disk("disk0")}));
    }

    void open_started() {
        open_with_disk();
        if (HasFatalFailure())
            return;
        ASSERT_TRUE(start());
        ASSERT_TRUE(console_says("[disk]"));
    }

    bool wait(const std::function<bool()>& condition, std::chrono::milliseconds limit = 10s) {
        return loop.run_until(
            [&] {
                // Conditions about files have no event of their own.
                if (condition())
                    return true;
                tick = loop.after(5ms, [] {});
                return false;
            },
            limit);
    }

    bool wait_status(HostStatus status, std::chrono::milliseconds limit = 10s) {
        return wait([&] { return host->status() == status; }, limit);
    }

    /// Runs an operation to its answer; the fault's sentence is kept in `refusal`.
    bool done(const std::function<void(Host::Done)>& operation) {
        auto answer = std::make_shared<std::optional<Result<void>>>();
        operation([answer](Result<void> result) { *answer = std::move(result); });
        if (!wait([&] { return answer->has_value(); }, 40s)) {
            refusal = "no answer";
            return false;
        }
        refusal = **answer ? "" : (*answer)->fault().message;
        return static_cast<bool>(**answer);
    }
    bool start() {
        return done([&](Host::Done d) { host->start(std::move(d)); });
    }
    bool stop(bool force) {
        return done([&](Host::Done d) { host->stop(force, std::move(d)); });
    }
    bool reset() {
        return done([&](Host::Done d) { host->reset(std::move(d)); });
    }

    std::string console() const {
        const auto text = read_file(files().console_log());
        return text ? *text : "";
    }
    /// Waits until `text` is on the console behind what was seen before.
    bool console_says(const std::string& text, std::chrono::milliseconds limit = 10s) {
        std::size_t at = std::string::npos;
        const bool said = wait(
            [&] {
                at = console().find(text, seen);
                return at != std::string::npos;
            },
            limit);
        if (said)
            seen = at + text.size();
        else
            ADD_FAILURE() << "no '" << text << "' in " << console().substr(seen) << "\n" << events;
        return said;
    }
    /// Writes to the FIFO of the last known serial port, also while nobody has the host open.
    void type(const std::string& text) {
        const UniqueFd fifo(
            ::open(files().serial_input().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
        ASSERT_TRUE(fifo);
        ASSERT_EQ(write(fifo.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    bool event_says(const std::string& text, std::chrono::milliseconds limit = 10s) {
        return wait([&] { return events.find(text) != std::string::npos; }, limit);
    }
    ProcessId qemu() const {
        const auto record = load_runtime_record(files().runtime_record());
        return record ? record->process : ProcessId{};
    }
    std::size_t count_events(const std::string& text) const {
        std::size_t count = 0;
        for (auto at = events.find(text); at != std::string::npos; at = events.find(text, at + 1))
            ++count;
        return count;
    }

    static constexpr std::uint64_t disk_size = 1U << 20U;

    std::string top;
    Loop loop;
    HostEnvironment environment;
    HostDefinition initial;
    std::unique_ptr<Host> host;
    std::string events, prompt, serial, refusal;
    std::vector<HostStatus> statuses;
    std::size_t seen = 0; ///< of the console
    Loop::Handle tick;
};

} // namespace lom::vmm::test
