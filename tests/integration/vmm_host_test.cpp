// The host's power states, boots and virtual CD, against a real QEMU.
#include "tests/integration/vmm_host_support.h"

namespace lom::vmm::test {
namespace {

// -- power

TEST_F(HostTest, starts_and_the_guest_can_be_talked_to) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    EXPECT_EQ(host->status(), HostStatus::powered_on);
    EXPECT_EQ(host->power_state(), PowerState::on);
    EXPECT_EQ(serial, files().serial_input());
    type("xyz");
    EXPECT_TRUE(console_says("xyz"));
    EXPECT_FALSE(start());
    EXPECT_EQ(refusal, "Target already started");
}

TEST_F(HostTest, stop_force_cuts_the_power_and_it_can_be_started_again) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(stop(true)) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powered_off);
    EXPECT_EQ(host->status_detail(), "");
    EXPECT_EQ(serial, "");
    EXPECT_FALSE(stop(true));
    EXPECT_EQ(refusal, "Target already stopped");
    EXPECT_FALSE(reset());
    EXPECT_EQ(refusal, "Target already stopped");
    ASSERT_TRUE(start()) << refusal;
    EXPECT_TRUE(console_says("[disk]"));
}

TEST_F(HostTest, stop_asks_the_guest) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(stop(false)) << refusal;
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("The guest has shut down."));
}

TEST_F(HostTest, a_guest_that_ignores_the_button_is_told_of_and_left_running) {
    environment.shutdown_limit = 1s;
    ASSERT_NO_FATAL_FAILURE(open_started());
    type("i");
    ASSERT_TRUE(console_says("i"));
    ASSERT_TRUE(stop(false)) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powering_off);
    EXPECT_NE(host->status_detail().find("waiting up to 1 s for the guest to shut down"),
              std::string::npos);
    EXPECT_FALSE(stop(false));
    EXPECT_EQ(refusal, "Target shutdown in progress");
    ASSERT_TRUE(wait_status(HostStatus::powered_on));
    EXPECT_NE(host->status_detail().find("did not power off within 1 s"), std::string::npos);
    EXPECT_TRUE(event_says("did not power off within 1 s"));
    EXPECT_TRUE(is_alive(qemu()));
}

TEST_F(HostTest, reset_is_a_power_cycle) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId before = qemu();
    ASSERT_TRUE(reset()) << refusal;
    EXPECT_FALSE(is_alive(before));
    EXPECT_TRUE(console_says("[disk]"));
    EXPECT_EQ(host->status(), HostStatus::powered_on);
}

TEST_F(HostTest, a_guest_that_reboots_keeps_its_process_and_is_one_event) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId before = qemu();
    type("r");
    ASSERT_TRUE(console_says("[disk]"));
    EXPECT_EQ(qemu().pid, before.pid);
    EXPECT_EQ(count_events("The guest has reset the host."), 1U);
    EXPECT_EQ(host->status(), HostStatus::powered_on);
}

TEST_F(HostTest, a_guest_that_shuts_down_is_off) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    type("o");
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("The guest has shut down."));
}

TEST_F(HostTest, a_panic_stops_the_host_until_it_is_reset) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    type("p");
    ASSERT_TRUE(wait_status(HostStatus::stopped));
    EXPECT_NE(host->status_detail().find("panicked"), std::string::npos);
    EXPECT_EQ(count_events("panicked"), 1U);
    reopen();
    ASSERT_TRUE(wait_status(HostStatus::stopped));
    ASSERT_TRUE(reset()) << refusal;
    EXPECT_TRUE(console_says("[disk]"));
    type("p");
    ASSERT_TRUE(wait_status(HostStatus::stopped));
    ASSERT_TRUE(stop(false)) << refusal; // nobody is there to be asked
    EXPECT_EQ(host->status(), HostStatus::powered_off);
}

TEST_F(HostTest, a_qemu_killed_from_outside_is_power_lost) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(send_signal(qemu(), SIGKILL));
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("lost its power: QEMU ended unexpectedly (signal Killed)"));
    ASSERT_TRUE(start()) << refusal;
    EXPECT_TRUE(console_says("[disk]"));
}

TEST_F(HostTest, a_qemu_told_to_end_from_outside_is_power_lost) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(send_signal(qemu(), SIGTERM));
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("power was cut from outside"));
}

TEST_F(HostTest, nmi_and_break_reach_the_guest) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    EXPECT_TRUE(done([&](Host::Done d) { host->inject_nmi(std::move(d)); })) << refusal;
    EXPECT_TRUE(console_says("[nmi]"));
    EXPECT_TRUE(done([&](Host::Done d) { host->send_break(std::move(d)); })) << refusal;
    EXPECT_TRUE(console_says("[break]"));
    ASSERT_TRUE(stop(true));
    EXPECT_FALSE(done([&](Host::Done d) { host->inject_nmi(std::move(d)); }));
    EXPECT_EQ(refusal, "The host is off.");
}

TEST_F(HostTest, qemu_runs_under_an_account_of_its_own) {
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root";
    constexpr uid_t account = 1900000001;
    environment.qemu_uid = account;
    initial.firmware = Firmware::uefi; // its variables are one more file to hand over
    initial.memory_mib = 128;
    std::filesystem::permissions(top, std::filesystem::perms(0711));
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    ASSERT_TRUE(start()) << refusal;
    EXPECT_TRUE(host->inserted(DriveId::cd));
    ASSERT_TRUE(console_says("BdsDxe", 40s));
    const auto about = read_file("/proc/" + std::to_string(qemu().pid) + "/status");
    ASSERT_TRUE(about);
    const std::string number = std::to_string(account);
    EXPECT_NE(about->find("Uid:\t" + number + "\t" + number), std::string::npos) << *about;
    EXPECT_NE(about->find("Gid:\t" + number + "\t" + number), std::string::npos) << *about;
    EXPECT_NE(about->find("CapEff:\t0000000000000000"), std::string::npos) << *about;
    EXPECT_NE(about->find("Seccomp:\t2"), std::string::npos) << *about;
    reopen();
    EXPECT_TRUE(wait_status(HostStatus::powered_on, 2s));
}

TEST_F(HostTest, real_mode_code_runs_under_kvm) {
    if (access("/dev/kvm", R_OK | W_OK) != 0)
        GTEST_SKIP() << "needs /dev/kvm";
    environment.acceleration = Acceleration::kvm;
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    ASSERT_TRUE(start()) << refusal;
    EXPECT_TRUE(console_says("[disk]", 60s)); // an emulating KVM is slow
}

// -- boots

TEST_F(HostTest, boot_device_is_for_one_boot_also_when_the_guest_reboots) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    ASSERT_TRUE(host->boot().set_boot_device("cdrom"));
    type("r");
    ASSERT_TRUE(console_says("[cdrom]"));
    EXPECT_EQ(host->boot().state().boot_device, "default");
    type("r");
    ASSERT_TRUE(console_says("[disk]"));
    type("r");
    ASSERT_TRUE(console_says("[disk]"));
    ASSERT_TRUE(host->boot().set_boot_device("cdrom"));
    ASSERT_TRUE(reset()) << refusal;
    ASSERT_TRUE(console_says("[cdrom]"));
    ASSERT_TRUE(reset()) << refusal;
    ASSERT_TRUE(console_says("[disk]"));
}

TEST_F(HostTest, the_ok_prompt_boots_what_it_is_told_and_returns_when_the_guest_reboots) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    host->insert(DriveId::cd, {.file = iso()}, [](const Result<void>&) {});
    ASSERT_TRUE(host->boot().set_script("setenv auto-boot? false"));
    ASSERT_TRUE(start()) << refusal;
    EXPECT_EQ(host->status(), HostStatus::openboot_running);
    EXPECT_TRUE(host->at_ok_prompt());
    EXPECT_NE(prompt.find("{0} ok "), std::string::npos);
    EXPECT_TRUE(host->inserted(DriveId::cd));

    host->prompt_input("boot rcdrom\r");
    ASSERT_TRUE(console_says("[cdrom]"));
    EXPECT_FALSE(host->at_ok_prompt());
    EXPECT_EQ(host->status(), HostStatus::powered_on);

    prompt.clear();
    type("r");
    ASSERT_TRUE(wait_status(HostStatus::openboot_running));
    EXPECT_NE(prompt.find("{0} ok "), std::string::npos);
    host->prompt_input("boot disk\r");
    ASSERT_TRUE(console_says("[disk]"));

    ASSERT_TRUE(reset()) << refusal;
    host->prompt_input("reset-all\r");
    ASSERT_TRUE(wait_status(HostStatus::restarting));
    EXPECT_TRUE(host->at_ok_prompt()); // what is typed waits for the next prompt
    ASSERT_TRUE(wait_status(HostStatus::openboot_running));
    ASSERT_TRUE(stop(false)) << refusal; // at once: the processor never ran
    EXPECT_EQ(host->status(), HostStatus::powered_off);
    EXPECT_FALSE(host->at_ok_prompt());
}

TEST_F(HostTest, boot_device_bios_offers_the_firmwares_menu_once) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    ASSERT_TRUE(host->boot().set_boot_device("bios"));
    ASSERT_TRUE(start()) << refusal;
    ASSERT_TRUE(console_says("Press ESC for boot menu"));
    type("\x1b");
    ASSERT_TRUE(console_says("Select boot device"));
    type("1");
    ASSERT_TRUE(console_says("[disk]"));
    type("r");
    EXPECT_TRUE(console_says("[disk]"));
    EXPECT_EQ(count_events("The guest has reset the host."), 1U);
}

TEST_F(HostTest, power_off_at_the_prompt) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    ASSERT_TRUE(host->boot().set_script("setenv auto-boot? false"));
    ASSERT_TRUE(start()) << refusal;
    host->prompt_input("power-off\r");
    EXPECT_TRUE(wait_status(HostStatus::powered_off));
}

// -- the service processor comes and goes

TEST_F(HostTest, a_running_guest_is_adopted) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId before = qemu();
    reopen();
    EXPECT_EQ(host->status(), HostStatus::starting);
    EXPECT_EQ(host->power_state(), PowerState::on);
    EXPECT_TRUE(wait_status(HostStatus::powered_on, 2s));
    EXPECT_EQ(qemu().pid, before.pid);
    EXPECT_EQ(serial, files().serial_input());
    type("hello");
    EXPECT_TRUE(console_says("hello"));
    ASSERT_TRUE(stop(false)) << refusal;
    EXPECT_TRUE(wait_status(HostStatus::powered_off));
}

TEST_F(HostTest, a_running_guest_is_adopted_without_a_record) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId before = qemu();
    host.reset();
    std::filesystem::remove(files().runtime_record());
    open();
    EXPECT_TRUE(wait_status(HostStatus::powered_on, 2s));
    EXPECT_EQ(qemu().pid, before.pid);
}

TEST_F(HostTest, the_prompt_is_adopted) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    ASSERT_TRUE(host->boot().set_script("setenv auto-boot? false"));
    ASSERT_TRUE(start()) << refusal;
    reopen();
    EXPECT_TRUE(wait_status(HostStatus::openboot_running, 2s));
    host->prompt_input("boot disk\r");
    EXPECT_TRUE(console_says("[disk]"));
}

TEST_F(HostTest, a_shutdown_meanwhile_is_learnt) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    host.reset();
    type("o");
    open();
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("The guest has shut down."));
}

TEST_F(HostTest, a_reboot_meanwhile_waits_for_the_decision) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    ASSERT_TRUE(host->boot().set_script("setenv auto-boot? false"));
    ASSERT_TRUE(wait([&] { return console().empty() || true; }));
    loop.run_until([] { return false; }, 100ms); // the trap is set
    host.reset();
    type("r");
    open();
    ASSERT_TRUE(wait_status(HostStatus::openboot_running));
    EXPECT_TRUE(event_says("The guest has reset the host."));
}

TEST_F(HostTest, a_power_loss_meanwhile_is_told) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId process = qemu();
    host.reset();
    ASSERT_TRUE(send_signal(process, SIGKILL));
    waitpid(process.pid, nullptr, 0);
    open();
    ASSERT_TRUE(wait_status(HostStatus::powered_off));
    EXPECT_TRUE(event_says("lost its power while the service processor was away"));
    reopen();
    EXPECT_EQ(count_events("while the service processor was away"), 1U);
}

TEST_F(HostTest, a_begun_reset_is_completed) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId process = qemu();
    host->reset([](const Result<void>&) {});
    host.reset();
    open();
    ASSERT_TRUE(console_says("[disk]"));
    EXPECT_TRUE(wait_status(HostStatus::powered_on));
    EXPECT_NE(qemu().pid, process.pid);
}

TEST_F(HostTest, a_qemu_that_is_not_ours_is_left_alone) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId other = qemu();
    host.reset();
    std::filesystem::rename(files().qmp(), files().qmp() + ".away");
    std::filesystem::remove(files().runtime_record());
    open();
    EXPECT_EQ(host->status(), HostStatus::powered_off);
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("lock"), std::string::npos) << refusal; // QEMU's own, on its disk or pid
    EXPECT_TRUE(is_alive(other));
    send_signal(other, SIGKILL);
    waitpid(other.pid, nullptr, 0);
}

TEST_F(HostTest, a_qemu_that_hangs_is_unreachable_until_it_answers) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    const ProcessId process = qemu();
    host.reset();
    ASSERT_TRUE(send_signal(process, SIGSTOP));
    open();
    ASSERT_TRUE(wait_status(HostStatus::unreachable, 20s));
    EXPECT_TRUE(is_alive(process));
    EXPECT_FALSE(stop(false));
    EXPECT_FALSE(reset());
    EXPECT_NE(refusal.find("stop -force"), std::string::npos);
    ASSERT_TRUE(send_signal(process, SIGCONT));
    ASSERT_TRUE(wait_status(HostStatus::powered_on, 10s));
    EXPECT_TRUE(event_says("The host answers again."));

    host.reset();
    ASSERT_TRUE(send_signal(process, SIGSTOP));
    open();
    ASSERT_TRUE(wait_status(HostStatus::unreachable, 20s));
    ASSERT_TRUE(stop(true)) << refusal;
    EXPECT_FALSE(is_alive(process));
}

// -- starts that fail

TEST_F(HostTest, a_missing_qemu_is_said) {
    environment.qemu = top + "/nowhere";
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("No such file or directory"), std::string::npos);
    EXPECT_EQ(host->status(), HostStatus::powered_off);
    EXPECT_EQ(host->status_detail(), refusal);
    EXPECT_TRUE(event_says("The host cannot start: "));
}

TEST_F(HostTest, a_broken_disk_is_said_in_qemus_words) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    write_file(files().disk("disk0"), "not qcow2");
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("qcow2"), std::string::npos) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powered_off);
    std::filesystem::remove(files().disk("disk0"));
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("disk0 is missing"), std::string::npos) << refusal;
}

/// Stands in for QEMU: `python` runs with the monitor's listening socket as `listener`.
class FakeQemu : public HostTest {
  protected:
    void fake(const std::string& python) {
        environment.qemu = top + "/fake-qemu";
        write_file(environment.qemu, "#!/usr/bin/python3\n"
                                     "import json, socket, sys, time\n"
                                     "listener = socket.socket(socket.AF_UNIX)\n"
                                     "listener.bind('" +
                                         files().qmp() +
                                         "')\n"
                                         "listener.listen()\n" +
                                         python);
        std::filesystem::permissions(environment.qemu, std::filesystem::perms::owner_all);
        open();
    }
};

TEST_F(FakeQemu, nonsense_is_refused) {
    fake("peer, _ = listener.accept()\n"
         "peer.sendall(b'HTTP/1.1 200 OK\\r\\n')\n"
         "print('I am no QEMU', file=sys.stderr, flush=True)\n"
         "time.sleep(60)\n");
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("not QMP"), std::string::npos) << refusal;
    EXPECT_NE(refusal.find("I am no QEMU"), std::string::npos) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powered_off);
}

TEST_F(FakeQemu, a_line_without_end_is_refused) {
    fake("peer, _ = listener.accept()\n"
         "try:\n"
         "    while True: peer.sendall(b'x' * 65536)\n"
         "except OSError: time.sleep(60)\n");
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("line without end"), std::string::npos) << refusal;
}

TEST_F(FakeQemu, silence_is_not_waited_for_for_ever) {
    fake("time.sleep(60)\n");
    EXPECT_FALSE(start());
    EXPECT_NE(refusal.find("does not greet"), std::string::npos) << refusal;
    EXPECT_EQ(host->power_state(), PowerState::off);
}

TEST_F(FakeQemu, nonsense_later_makes_it_unreachable_and_only_force_ends_it) {
    fake("peer, _ = listener.accept()\n"
         "peer.sendall(b'{\"QMP\": {}}\\r\\n')\n"
         "for line in peer.makefile():\n"
         "    command = json.loads(line)\n"
         "    peer.sendall(json.dumps({'return': {}, 'id': command['id']}).encode() + b'\\r\\n')\n"
         "    if command['execute'] == 'query-status': break\n"
         "time.sleep(0.2)\n"
         "peer.sendall(b'\\x00\\xff garbage\\n')\n"
         "time.sleep(60)\n");
    ASSERT_TRUE(start()) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powered_on);
    ASSERT_TRUE(wait_status(HostStatus::unreachable));
    EXPECT_TRUE(event_says("unreachable"));
    EXPECT_TRUE(is_alive(qemu()));
    ASSERT_TRUE(stop(true)) << refusal;
    EXPECT_EQ(host->status(), HostStatus::powered_off);
}

// -- the virtual CD

TEST_F(HostTest, a_medium_comes_and_goes_while_the_guest_runs) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    EXPECT_FALSE(host->inserted(DriveId::cd));
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    EXPECT_TRUE(host->inserted(DriveId::cd));
    ASSERT_TRUE(reset()) << refusal; // kept; SeaBIOS sees it
    ASSERT_TRUE(console_says("[disk]"));
    EXPECT_TRUE(host->inserted(DriveId::cd));
    type("c");
    EXPECT_TRUE(console_says("[read]"));

    reopen();
    ASSERT_TRUE(wait_status(HostStatus::powered_on));
    EXPECT_TRUE(wait([&] { return host->inserted(DriveId::cd); }));
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    type("c");
    EXPECT_TRUE(console_says("[read]"));

    ASSERT_TRUE(done([&](Host::Done d) { host->eject(DriveId::cd, std::move(d)); })) << refusal;
    EXPECT_FALSE(host->inserted(DriveId::cd));
    type("c");
    EXPECT_TRUE(console_says("[unreadable]"));
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    type("cc"); // the first says that the medium has changed
    EXPECT_TRUE(console_says("[read]"));
}

TEST_F(HostTest, an_image_that_is_not_there_is_said_and_nothing_else_changes) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    EXPECT_FALSE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = top + "/none,x\"y.iso"}, std::move(d));
    }));
    EXPECT_NE(refusal.find("No such file or directory"), std::string::npos) << refusal;
    EXPECT_FALSE(host->inserted(DriveId::cd));
    ASSERT_TRUE(reset()) << refusal;
    EXPECT_TRUE(console_says("[disk]"));
    EXPECT_TRUE(event_says("The image cannot be inserted"));
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    EXPECT_TRUE(host->inserted(DriveId::cd));
}

TEST_F(HostTest, quick_changes_of_mind_end_with_the_last) {
    ASSERT_NO_FATAL_FAILURE(open_started());
    host->insert(DriveId::cd, {.file = iso()}, [](const Result<void>&) {});
    host->eject(DriveId::cd, [](const Result<void>&) {});
    host->insert(DriveId::cd, {.file = top + "/none"}, [](const Result<void>&) {});
    ASSERT_TRUE(done([&](Host::Done d) {
        host->insert(DriveId::cd, {.file = iso()}, std::move(d));
    })) << refusal;
    EXPECT_TRUE(host->inserted(DriveId::cd));
    host->insert(DriveId::cd, {.file = top + "/none"}, [](const Result<void>&) {});
    ASSERT_TRUE(done([&](Host::Done d) { host->eject(DriveId::cd, std::move(d)); })) << refusal;
    EXPECT_FALSE(host->inserted(DriveId::cd));
}

// -- the definition

TEST_F(HostTest, the_definition_is_kept_and_changes_only_while_off) {
    ASSERT_NO_FATAL_FAILURE(open_with_disk());
    const std::string uuid = host->definition().identity.uuid;
    EXPECT_EQ(uuid.size(), 36U);
    ASSERT_TRUE(start()) << refusal;
    HostDefinition changed = host->definition();
    changed.processors = 2;
    changed.nics = {{"net0", ""}};
    EXPECT_FALSE(done([&](Host::Done d) { host->redefine(changed, std::move(d)); }));
    EXPECT_EQ(refusal, "The host is on; stop it first.");
    ASSERT_TRUE(stop(true)) << refusal;
    ASSERT_TRUE(done([&](Host::Done d) { host->redefine(changed, std::move(d)); })) << refusal;
    reopen();
    EXPECT_EQ(host->definition().processors, 2U);
    EXPECT_EQ(host->definition().identity.uuid, uuid);
    EXPECT_EQ(host->definition().nics.at(0).mac.substr(0, 9), "02:00:5e:");
    changed = host->definition();
    changed.disks.clear();
    ASSERT_TRUE(done([&](Host::Done d) { host->redefine(changed, std::move(d)); })) << refusal;
    EXPECT_FALSE(std::filesystem::exists(files().disk("disk0")));
}

TEST_F(HostTest, a_definition_that_cannot_be_made_leaves_nothing) {
    open();
    HostDefinition wanted = host->definition();
    wanted.disks = {{"disk0", 1U << 20U}, {"disk1", 1U << 20U}};
    std::filesystem::create_directory(files().disk("disk1")); // in qemu-img's way
    EXPECT_FALSE(done([&](Host::Done d) { host->redefine(wanted, std::move(d)); }));
    EXPECT_NE(refusal.find("The disk cannot be made: "), std::string::npos) << refusal;
    EXPECT_TRUE(host->definition().disks.empty());
    EXPECT_FALSE(std::filesystem::exists(files().disk("disk0")));
    wanted.disks.clear();
    wanted.memory_mib = 1U << 30U;
    EXPECT_FALSE(done([&](Host::Done d) { host->redefine(wanted, std::move(d)); }));
    EXPECT_NE(refusal.find("on this machine"), std::string::npos) << refusal;
}

} // namespace
} // namespace lom::vmm::test
