"""Power: start, stop, reset and what the guest does by itself; the definition; what the guest sees."""

import os
import re
import signal
import subprocess

import pytest

from tests.support import isos
from tests.support.guest import (GuestConsole, Linux, events, get, insert, must, power_off,
                                 qemu_pid, wait_for)
from tests.support.image_server import ImageServer
from tests.support.lomd import BUILD, Lomd, wait_until

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(420),
    pytest.mark.skipif(bool(Lomd.missing() or ImageServer.missing()),
                       reason=Lomd.missing() or ImageServer.missing() or "built"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        yield images


@pytest.fixture(scope="module")
def sp(server):
    """A host that always boots from its CD: the real-mode one, which starts in a blink."""
    with Lomd() as lomd:
        insert(lomd, server, server.add(isos.hello()))
        must(lomd, 'set /HOST/bootmode script="setenv boot-device rcdrom"')
        yield lomd


@pytest.fixture
def off(sp):
    power_off(sp)
    must(sp, "set -script /SP/logs/event clear=true")
    yield sp
    power_off(sp)


@pytest.fixture
def console(off):
    with GuestConsole(off) as attached:
        yield attached


def answer(sp, line):
    done = sp.lom(line)
    return done.returncode, done.stdout


def start(sp, console):
    assert answer(sp, "start -script /SYS") == (0, "Starting /SYS\n")
    console.expect("HELLO volume=LOMHELLO\r\nREADY")


# -- the words

def test_words_while_off(off):
    assert answer(off, "stop -script /SYS") == (2, "stop: Target already stopped\n")
    assert answer(off, "stop -force -script /System") == (2, "stop: Target already stopped\n")
    assert answer(off, "reset -script /SYS") == (
        2, "Performing hard reset on /SYS failed\nreset: Target already stopped\n")
    assert get(off, "/HOST", "status") == "Powered Off"
    for target in ("/SYS", "/System"):
        assert get(off, target, "power_state") == "Off"
    for line in ("generate_host_nmi=true", "send_break_action=break"):
        status, text = answer(off, f"set /HOST {line}")
        assert status == 2 and "off" in text


def test_start_reset_and_cut(off, console):
    start(off, console)
    assert get(off, "/HOST", "status") == "Powered On"
    for target in ("/SYS", "/System"):
        assert get(off, target, "power_state") == "On"
        assert answer(off, f"start -script {target}") == (2, "start: Target already started\n")
    assert answer(off, "reset -script /System") == (0, "Performing hard reset on /System\n")
    console.expect("READY")
    assert answer(off, "reset -force -script /SYS") == (0, "Performing hard reset on /SYS\n")
    console.expect("READY")
    assert answer(off, "stop -force -script /SYS") == (0, "Stopping /SYS immediately\n")
    wait_for(off, "/HOST", "status", "Powered Off", 10)
    assert get(off, "/SYS", "power_state") == "Off"
    assert qemu_pid(off) is None
    told = " ".join(events(off))
    for words in ("powered on", "reset", "powered off"):
        assert words in told, told


def test_questions(off, console):
    def ask(line, reply):
        return off.lom(input=f"{line}\n{reply}\n").stdout
    assert ask("start /SYS", "n") == "Are you sure you want to start /SYS (y/n)? n\nCommand aborted.\n\n"
    assert get(off, "/SYS", "power_state") == "Off"
    assert ask("start /System", "y").startswith("Are you sure you want to start /System (y/n)? y\nStarting /System\n")
    console.expect("READY")
    assert "Are you sure you want to reset /SYS (y/n)? n\n" in ask("reset /SYS", "n")
    assert "Are you sure you want to stop /SYS (y/n)? n\n" in ask("stop /SYS", "n")
    assert get(off, "/HOST", "status") == "Powered On"
    assert ask("stop -f /SYS", "y").startswith("Are you sure you want to immediately stop /SYS (y/n)? y\n"
                                               "Stopping /SYS immediately\n")


def test_a_guest_that_ignores_its_power_button(off, console):
    start(off, console)
    assert answer(off, "stop -script /SYS") == (0, "Stopping /SYS\n")
    assert get(off, "/HOST", "status") == "Powering Off"
    detail = get(off, "/HOST", "status_detail")
    assert "guest to shut down" in detail and "60 s" in detail
    assert answer(off, "stop -script /SYS") == (2, "stop: Target shutdown in progress\n")
    assert get(off, "/SYS", "power_state") == "On"
    console.send("x")
    console.expect("x")  # it runs on
    assert answer(off, "stop -force -script /SYS") == (0, "Stopping /SYS immediately\n")
    wait_for(off, "/HOST", "status", "Powered Off", 10)


# -- what the guest does by itself

def test_a_guest_reboots_and_powers_off(off, console):
    start(off, console)
    console.send("r")
    console.expect("HELLO volume=LOMHELLO\r\nREADY")
    wait_for(off, "/HOST", "status", "Powered On", 10)
    assert "The guest has reset the host." in events(off)
    console.send("o")
    wait_for(off, "/HOST", "status", "Powered Off", 20)
    assert "The guest has shut down." in events(off)
    assert qemu_pid(off) is None


def test_the_older_machine_boots_too(off, console):
    must(off, "set /System machine=pc")
    try:
        start(off, console)
    finally:
        power_off(off)
        must(off, "set /System machine=q35")


def test_a_host_that_cannot_start_says_why(off):
    disk = next((off.state_dir / "hosts/host0").glob("disk0*"))
    away = disk.with_name("away")
    disk.rename(away)
    try:
        status, text = answer(off, "start -script /SYS")
        assert status == 4 and "disk0" in text, text
        assert get(off, "/HOST", "status") == "Powered Off"
        assert "disk0" in get(off, "/HOST", "status_detail")
        assert any("cannot start" in told and "disk0" in told for told in events(off))
    finally:
        away.rename(disk)


def test_qemu_killed_from_outside(off, console):
    start(off, console)
    os.kill(qemu_pid(off), signal.SIGKILL)
    wait_for(off, "/HOST", "status", "Powered Off", 5)
    assert get(off, "/SYS", "power_state") == "Off"
    assert any("lost its power" in text and "Killed" in text for text in events(off))
    start(off, console)


def test_a_qemu_that_hangs_holds_nobody_up_and_can_be_cut(off, console):
    start(off, console)
    pid = qemu_pid(off)
    os.kill(pid, signal.SIGSTOP)
    # Nothing of lomd's waits for it.
    assert answer(off, "set /SP system_location=here")[0] == 0
    assert answer(off, "stop -force -script /SYS")[0] == 0
    wait_for(off, "/HOST", "status", "Powered Off", 10)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "QEMU is gone")


def test_what_is_set_for_the_next_boot_holds_when_set_returns(off, console):
    """A guest may reboot at that moment: QEMU has been told by then."""
    start(off, console)
    pid = qemu_pid(off)
    for line in ("/HOST boot_device=disk", '/HOST/bootmode script="printenv"'):
        must(off, "set /HOST boot_device=default", 'set /HOST/bootmode script=""')
        os.kill(pid, signal.SIGSTOP)
        setting = subprocess.Popen([BUILD / "lom", "--run-dir", off.run_dir, "set " + line])
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                setting.wait(0.7)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert setting.wait(10) == 0
        os.kill(pid, signal.SIGSTOP)  # one that hangs is not waited for long
        assert answer(off, "set /HOST boot_device=cdrom")[0] == 0
        os.kill(pid, signal.SIGCONT)


# -- the definition

FITTING = [
    ("/System/Processors", "installed_cpus", "2", 2),
    ("/System/Memory", "installed_memory", "512M", 512 << 20),
    ("/System", "firmware", "uefi", "uefi"),
    ("/System", "machine", "pc", "pc"),
    ("/System", "model", "'Test Machine 3000'", "Test Machine 3000"),
    ("/System", "manufacturer", "'Acme, Inc.'", "Acme, Inc."),
    ("/System", "serial_number", "SN-0815", "SN-0815"),
    ("/System", "part_number", "PN-4711", "PN-4711"),
    ("/System", "asset_tag", "'Rack 7,U3'", "Rack 7,U3"),
]


def test_the_definition_changes_only_while_off(off, console):
    kept = {(target, name): get(off, target, name) for target, name, _, _ in FITTING}
    start(off, console)
    for target, name, text, _ in FITTING:
        status, said = answer(off, f"set {target} {name}={text}")
        assert status == 2 and "stop it first" in said, said
        assert get(off, target, name) == kept[target, name]
    for line in ("create /System/Storage/Disks/disk1 size=1G", "delete -script /System/Storage/Disks/disk0",
                 "create /System/Networking/Ethernet_NICs/net1", "delete -script /System/Networking/Ethernet_NICs/net0"):
        status, said = answer(off, line)
        assert status == 2 and "stop it first" in said, said
    power_off(off)
    for target, name, text, value in FITTING:
        assert answer(off, f"set {target} {name}={text}")[0] == 0
        assert get(off, target, name) == value
    for (target, name), value in kept.items():
        must(off, f"set {target} {name}='{value}'")
        assert get(off, target, name) == value


@pytest.mark.parametrize("line,says", [
    ("set /System/Processors installed_cpus=0", "processors on this machine"),
    ("set /System/Processors installed_cpus=-1", "processors on this machine"),
    ("set /System/Processors installed_cpus=65", "processors on this machine"),
    ("set /System/Processors installed_cpus=two", "whole number"),
    ("set /System/Memory installed_memory=0", "memory on this machine"),
    ("set /System/Memory installed_memory=1K", "memory on this machine"),
    ("set /System/Memory installed_memory=900T", "memory on this machine"),
    ("set /System/Memory installed_memory=99999999999T", "512M"),
    ("set /System firmware=openfirmware", "bios"),
    ("set /System machine=sparc", "q35"),
    ("set /System serial_number=ÄÖ", "ASCII"),
    ("set /System model=" + "m" * 65, "64"),
    ("create /System/Storage/Disks/disk1 size=1", "A disk has"),
    ("create /System/Storage/Disks/disk1 size=65T", "A disk has"),
    ("create /System/Storage/Disks/disk9 size=1G", "disk0 to disk7"),
    ("create /System/Storage/Disks/floppy size=1G", "disk0 to disk7"),
    ("create /System/Networking/Ethernet_NICs/net9", "net0 to net7"),
    ("create /System/Networking/Ethernet_NICs/eth0", "net0 to net7"),
    ("create /System/Networking/Ethernet_NICs/net1 mac_address=01:00:5e:00:00:01", "hardware address"),
    ("create /System/Networking/Ethernet_NICs/net1 mac_address=nonsense", "hardware address"),
    ("create /System/Networking/Ethernet_NICs/net1 mac_address=02:00:5e:10:00:01,bus=x", "hardware address"),
])
def test_what_does_not_fit_is_refused_with_a_sentence(off, line, says):
    before = off.lom("show -level all -o json /System").stdout
    status, text = answer(off, line)
    assert status == 2 and says in text, text
    assert off.lom("show -level all -o json /System").stdout == before


def test_disks_and_interfaces_come_and_go(off):
    disk = off.state_dir / "hosts/host0"
    before = set(disk.iterdir())
    assert answer(off, "create /System/Storage/Disks/disk1 size=3G") == (
        0, "Creating Disk...\nCreated /System/Storage/Disks/disk1\n")
    assert get(off, "/System/Storage/Disks/disk1", "disk_size") == 3 << 30
    assert get(off, "/System/Storage", "installed_disks") == 2
    made = {path for path in set(disk.iterdir()) - before if "disk1" in path.name}
    assert made
    assert answer(off, "create /System/Storage/Disks/disk1 size=3G")[0] == 2
    asked = off.lom(input="delete /System/Storage/Disks/disk1\nn\n").stdout
    assert "Are you sure you want to delete /System/Storage/Disks/disk1 (y/n)? n\n" in asked
    assert get(off, "/System/Storage", "installed_disks") == 2
    asked = off.lom(input="delete /System/Storage/Disks/disk1\ny\n").stdout
    assert "Deleted /System/Storage/Disks/disk1\n" in asked
    assert not any(path.exists() for path in made)
    assert answer(off, "create /System/Networking/Ethernet_NICs/net1 mac_address=02:00:5e:10:00:99")[0] == 0
    assert get(off, "/System/Networking/Ethernet_NICs/net1", "mac_address") == "02:00:5e:10:00:99"
    status, text = answer(off, "create /System/Networking/Ethernet_NICs/net2 mac_address=02:00:5e:10:00:99")
    assert status == 2 and "already" in text
    must(off, "delete -script /System/Networking/Ethernet_NICs/net1")
    assert get(off, "/System/Networking", "installed_eth_nics") == 1


def test_acceleration_is_named_with_its_reason(off):
    text = get(off, "/System", "acceleration")
    assert re.match(r"(KVM|TCG): .{20,}", text), text
    if not os.path.exists("/dev/kvm"):
        assert text.startswith("TCG: ") and "/dev/kvm" in text
    checked = subprocess.run([BUILD / "lomd", "--check", "--state-dir", off.home / "checked", "--ssh-port", "0"],
                             capture_output=True, text=True, timeout=60)
    told = next(line for line in checked.stdout.splitlines() if "KVM" in line)
    first_sentence = text.partition(": ")[2].partition(". ")[0]
    assert first_sentence in told and ("TCG" in told) == text.startswith("TCG"), told


# -- a guest with an operating system

@pytest.fixture(scope="class")
def linux(sp, server):
    """The demo Linux with everything that a definition can hold, and its console."""
    power_off(sp)
    must(sp, "set -script /SP/logs/event clear=true",
         "set /System/Processors installed_cpus=2", "set /System/Memory installed_memory=512M",
         "set /System manufacturer='Acme, Inc.' model='Test Machine 3000' part_number=PN-4711 "
         "serial_number=SN-0815 asset_tag='Rack 7,U3'",
         "create /System/Storage/Disks/disk1 size=3G",
         "create /System/Networking/Ethernet_NICs/net1 mac_address=02:00:5e:10:00:99")
    insert(sp, server, server.add(isos.demo()))
    with GuestConsole(sp) as console:
        must(sp, "start -script /System")
        yield Linux(console).wait()
    power_off(sp)


class TestLinux:
    """In order: each begins where the one before left the guest."""

    def test_it_sees_what_the_tree_says(self, sp, linux):
        def dmi(name):
            return linux.get(f"cat /sys/class/dmi/id/{name}")
        system = {name: get(sp, "/System", name) for name in
                  ("manufacturer", "model", "part_number", "serial_number", "asset_tag", "uuid")}
        assert dmi("sys_vendor") == dmi("board_vendor") == dmi("chassis_vendor") == system["manufacturer"]
        assert dmi("product_name") == system["model"] == "Test Machine 3000"
        assert dmi("product_sku") == system["part_number"]
        assert dmi("product_serial") == dmi("chassis_serial") == system["serial_number"]
        assert dmi("chassis_asset_tag") == system["asset_tag"] == "Rack 7,U3"
        assert dmi("product_uuid").lower() == system["uuid"]
        assert dmi("bios_vendor") == "OpenLOM"
        assert int(linux.get("grep -c ^processor /proc/cpuinfo")) == get(sp, "/System/Processors", "installed_cpus")
        memory = int(linux.get("awk '/MemTotal/ {print $2}' /proc/meminfo")) << 10
        assert 0.8 < memory / get(sp, "/System/Memory", "installed_memory") <= 1
        disks = linux.get("cd /sys/block; for d in vd*; do echo $(cat $d/serial) $(cat $d/size); done; cd")
        assert {name: int(size) * 512 for name, size in map(str.split, disks.splitlines())} == {
            name: get(sp, f"/System/Storage/Disks/{name}", "disk_size") for name in ("disk0", "disk1")}
        macs = linux.get("cat /sys/class/net/eth*/address").split()
        assert sorted(macs) == sorted(get(sp, f"/System/Networking/Ethernet_NICs/{name}", "mac_address")
                                      for name in ("net0", "net1"))
        assert get(sp, "/System", "host_primary_mac_address") == macs[0]

    def test_a_non_maskable_interrupt_arrives(self, sp, linux):
        must(sp, "set /HOST generate_host_nmi=true")
        wait_until(lambda: "NMI received" in linux.run("dmesg | grep NMI")[1], 30, "the guest tells of an NMI")
        assert get(sp, "/HOST", "status") == "Powered On"

    def test_a_break_arrives(self, sp, linux):
        linux.get("echo 1 > /proc/sys/kernel/sysrq; dmesg -n 8")
        must(sp, "set /HOST send_break_action=break")
        linux.console.send("h")  # within 5 s of a break: the kernel's own help
        linux.console.expect("sysrq: HELP")
        linux.get("dmesg -n 4")

    def test_it_reboots(self, sp, linux):
        linux.console.send("reboot\r")
        linux.wait()
        assert get(sp, "/HOST", "status") == "Powered On"
        assert "The guest has reset the host." in events(sp)

    def test_a_graceful_restart(self, sp, linux):
        must(sp, "set /HOST graceful_restart=true")
        assert "start again" in get(sp, "/HOST", "status_detail")
        linux.console.expect_exact("Power button pressed: shutting down")
        linux.wait()
        assert get(sp, "/HOST", "status") == "Powered On"
        assert "The guest has shut down." in events(sp)

    def test_its_power_button(self, sp, linux):
        assert answer(sp, "stop -script /SYS") == (0, "Stopping /SYS\n")
        linux.console.expect_exact("Power button pressed: shutting down")
        wait_for(sp, "/HOST", "status", "Powered Off", 90)
        assert "The guest has shut down." in events(sp)

    def test_a_panic(self, sp, linux):
        must(sp, "start -script /SYS")
        linux.wait()
        linux.console.send("echo c > /proc/sysrq-trigger\r")
        wait_for(sp, "/HOST", "status", "Host stopped", 60)
        assert "panic" in get(sp, "/HOST", "status_detail")
        assert get(sp, "/SYS", "power_state") == "On"
        assert get(sp, "/SYS", "fault_state") == "Faulted"
        assert get(sp, "/System", "health") == "Service Required"
        assert any("panic" in text for text in events(sp))
        must(sp, "reset -script /SYS")
        linux.wait()
        assert get(sp, "/HOST", "status") == "Powered On"
        assert get(sp, "/System", "health") == "OK"

    def test_it_shuts_down(self, sp, linux):
        linux.console.send("poweroff\r")
        wait_for(sp, "/HOST", "status", "Powered Off", 90)
        assert events(sp)[-1] == "The guest has shut down."
        assert get(sp, "/SYS", "power_state") == "Off"


    def test_a_graceful_restart_outlives_lomd(self, sp, linux):
        must(sp, "set /HOST graceful_restart=true")
        sp.kill9()
        sp.start()
        with GuestConsole(sp) as console:
            Linux(console).wait()
        wait_for(sp, "/HOST", "status", "Powered On", 30)