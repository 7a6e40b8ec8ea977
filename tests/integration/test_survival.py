"""What goes on when a part of the service processor dies: real lomd, ssh, QEMU, sshd, demo ISO."""

import hashlib
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from tests.support import demo_host, isos
from tests.support.console_client import RESTARTING, ConsoleClient
from tests.support.image_server import ImageServer
from tests.support.lomd import BUILD, PROMPT, Lomd, wait_until

KILLS = int(os.environ.get("LOM_KILLS", "50"))
SEED = int(os.environ.get("LOM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
STREAM = re.compile(rb"BEGIN lomtest-stream \d+ \d+\n(.*?)\nEND lomtest-stream sha256=([0-9a-f]{64})\n", re.DOTALL)

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing() or "built")
with_images = pytest.mark.skipif(bool(demo_host.missing()), reason=demo_host.missing() or "built")


@pytest.fixture
def sp(log_dir):
    with Lomd() as lomd:
        yield lomd
        for log in (lomd.log, *lomd.state_dir.glob("hosts/host0/*.log")):
            shutil.copy(log, log_dir)


@pytest.fixture
def images(log_dir):
    with ImageServer(log_dir / "sshd") as server:
        server.add(isos.demo())
        yield server


def restart(sp):
    """A new lomd after a kill; seconds until it has answered with its host adopted."""
    began = time.monotonic()
    sp.start()
    wait_until(lambda: demo_host.prop(sp, "/HOST", "status") == "Powered On", 10, "the host is adopted")
    return time.monotonic() - began


def checked_streams(console):
    """How many streams arrived; each of them whole."""
    streams = STREAM.findall(console)
    for body, digest in streams:
        assert hashlib.sha256(body).hexdigest().encode() == digest
    return len(streams)


@pytest.mark.qemu
@with_images
@pytest.mark.timeout(120 + 6 * KILLS)
def test_the_guest_and_its_people_do_not_notice_lomd_killed(sp, images, log_dir):
    print(f"seed {SEED}, {KILLS} kills")
    moments = random.Random(SEED)
    demo_host.point_at_image(sp, images)
    idle = sp.terminal()
    client = ConsoleClient(sp)
    demo_host.boot_cd(sp)
    qemu, media = demo_host.qemu_pid(sp), demo_host.processes(sp, "lom-media")
    slowest, typed = 0.0, 0
    for _ in range(KILLS):
        if client.at_guest_prompt():
            typed += 1
            client.type_line(f"cdcheck && lomtest-stream 60000 {typed}")
        time.sleep(moments.uniform(0, 0.7))  # the moment of the kill, not a wait
        sp.kill9()
        slowest = max(slowest, restart(sp))
        assert demo_host.qemu_pid(sp) == qemu
    print(f"slowest restart {slowest:.2f} s, {typed} checks typed")
    wait_until(client.at_guest_prompt, demo_host.BOOT_LIMIT, "the guest's shell waits")
    client.run(f"cdcheck && lomtest-stream 60000 {typed + 1}")

    console = client.console()
    (log_dir / "console").write_bytes(client.seen())
    assert console == demo_host.console_log(sp)
    assert checked_streams(console) == typed + 1
    assert len(re.findall(demo_host.CHECKED, console)) == typed + 2
    assert console.count(b"Linux version") == 1
    assert client.seen().count(RESTARTING) <= KILLS
    assert demo_host.qemu_pid(sp) == qemu
    assert demo_host.processes(sp, "lom-media") == media
    assert demo_host.storage_status(sp) == "operational"
    assert slowest < 2
    said = demo_host.events(sp)
    assert len(re.findall("powered on", said, re.IGNORECASE)) <= 1, said
    assert not re.search("powered off|reset|unexpected|fault", said, re.IGNORECASE), said

    for person in (idle, client.leave()):
        person.send("version\r")
        person.expect("SP firmware")
        person.expect("-> $")


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """A lomd whose host runs the demo Linux from the remote image, for all tests that leave it so."""
    with demo_host.booted(tmp_path_factory.mktemp("images")) as lomd:
        yield lomd


@pytest.fixture
def console(booted):
    client = ConsoleClient(booted)
    client.send(b"\r")
    wait_until(client.at_guest_prompt, 20, "the guest's shell waits")
    yield client
    client.close()


# -- acknowledged changes


class Writer(threading.Thread):
    """One session that counts up one property, and looks before each step whether the value is the
    last one that was acknowledged (or the one whose fate was said not to be known)."""

    def __init__(self, session, target, name):
        super().__init__(daemon=True)
        self.session, self.target, self.name = session, target, name
        self.acknowledged, self.unknown = 0, 0
        self.go_on = True
        self.fault = None
        self.seen = []

    def run(self):
        try:
            number = 0
            while self.go_on:
                if number:
                    self.look()
                number += 1
                self.step(number)
            self.look()
        except Exception as fault:  # told by the test's own thread
            self.fault = fault

    def say(self, line, *answers):
        self.session.stdin.write(line + "\n")
        self.session.stdin.flush()
        for answer in self.session.stdout:
            self.seen.append(answer)
            for pattern in answers:
                if found := re.search(pattern, answer):
                    return found
        raise AssertionError(f"the session ended: {self.seen[-8:]}")

    def step(self, number):
        done = self.say(f"set {self.target} {self.name}={number}", rf"^Set '{self.name}' to '(\d+)'", "not known")
        if done[0] == "not known":
            self.unknown = number
        else:
            self.acknowledged, self.unknown = number, 0

    def look(self):
        value = int(self.say(f"show {self.target} {self.name}", rf"^ +{self.name} = (\d+)$")[1])
        assert value == self.acknowledged or value == self.unknown, \
            f"{self.name} is {value}; {self.acknowledged} was acknowledged: {self.seen[-8:]}"


def test_no_acknowledged_set_is_lost_in_a_storm_of_sets_with_kills(sp):
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    properties = [("/SP", "system_contact"), ("/SP", "system_location"), ("/SP", "system_identifier"),
                  ("/HOST/console", "line_count")]
    writers = [Writer(sp.ssh_popen(**pipes) if at % 2 else
                      subprocess.Popen([BUILD / "lom", "--run-dir", sp.run_dir], **pipes), *where)
               for at, where in enumerate(properties)]
    for writer in writers:
        writer.start()
    try:
        wait_until(lambda: all(writer.acknowledged for writer in writers), 20, "every session has set once")
        for _ in range(8):
            time.sleep(moments.uniform(0, 0.3))  # the moment of the kill, not a wait
            sp.kill9()
            before = [writer.acknowledged for writer in writers]
            sp.start()
            wait_until(lambda: all(w.fault or w.acknowledged > b for w, b in zip(writers, before)), 20,
                       "every session sets again")
    finally:
        for writer in writers:
            writer.go_on = False
        for writer in writers:
            writer.join(20)
            writer.session.kill()
            writer.session.wait()
    for writer in writers:
        assert not writer.fault, writer.fault
        assert demo_host.prop(sp, writer.target, writer.name) in (str(writer.acknowledged), str(writer.unknown))
    print("acknowledged:", {writer.name: writer.acknowledged for writer in writers})


# -- ending on purpose


@pytest.mark.qemu
@with_images
def test_sigterm_ends_lomd_and_leaves_host_and_image(booted, console):
    sp = booted
    qemu, media = demo_host.qemu_pid(sp), demo_host.processes(sp, "lom-media")
    offset = len(demo_host.console_log(sp))
    console.type_line("cdcheck")
    began = time.monotonic()
    sp.process.send_signal(signal.SIGTERM)
    assert sp.process.wait(10) == 0
    assert time.monotonic() - began < 2
    # Nobody but the host and its image reader is there now, and the guest reads on.
    wait_until(lambda: re.search(demo_host.CHECKED, demo_host.console_log(sp)[offset:]), 60, "the CD is read")
    with open(sp.run_dir / "hosts/host0/media0/image.iso", "rb") as image, open(isos.demo(), "rb") as original:
        image.seek(10 << 20)
        original.seek(10 << 20)
        assert image.read(1 << 20) == original.read(1 << 20)
    assert restart(sp) < 2
    assert demo_host.qemu_pid(sp) == qemu and demo_host.processes(sp, "lom-media") == media
    assert "all OK" in console.run("cdcheck").decode()
    log = demo_host.console_log(sp)
    assert log.endswith(console.console()) and console.console().count(b"all OK") == 2
    person = console.leave()
    person.send("version\r")
    person.expect("SP firmware")


def test_a_second_lomd_on_the_same_state_is_refused(sp):
    for run_dir in (sp.run_dir, sp.home / "run2"):
        second = subprocess.run([BUILD / "lomd", "--state-dir", sp.state_dir, "--run-dir", run_dir, "--ssh-port", "0",
                                 "--listen", "127.0.0.1", "--foreground"], capture_output=True, text=True, timeout=20)
        assert second.returncode == 4
        assert second.stderr == (f"lomd: Another lomd runs on the state folder {sp.state_dir}; stop it, or give "
                                 "another --state-dir.\n")
    assert sp.lom("show /SP").returncode == 0
    assert sp.ssh("version").returncode == 0
    sp.kill9()  # the lock goes with the process
    sp.start()
    assert sp.lom("show /SP").returncode == 0


@pytest.mark.qemu
@with_images
def test_reset_sp_keeps_session_ports_and_host(booted):
    sp = booted
    qemu, ports, pid = demo_host.qemu_pid(sp), (sp.run_dir / "ports.json").read_text(), sp.process.pid
    starts = demo_host.events(sp).count("The service processor has started.")
    person = sp.terminal()
    person.send("reset /SP\r")
    person.expect_exact("Are you sure you want to reset /SP (y/n)? ")
    person.send("y\r")
    person.expect_exact("Performing reset on /SP\r\n")
    person.expect(PROMPT)
    person.expect_exact("The service processor is restarting...")
    person.expect(PROMPT)
    person.send("show /SP/sessions\r")
    person.expect_exact("/SP/sessions")
    person.expect(PROMPT)
    assert demo_host.events(sp).count("The service processor has started.") == starts + 1
    assert sp.process.pid == pid and sp.process.poll() is None
    assert (sp.run_dir / "ports.json").read_text() == ports
    assert sp.ssh("version").returncode == 0
    assert demo_host.qemu_pid(sp) == qemu
    person.close(force=True)


def test_reset_sp_starts_what_was_installed_meanwhile():
    with Lomd() as folders, Lomd() as sp:
        sp.stop()
        programs = folders.home / "programs"
        programs.mkdir(mode=0o755)
        for program in BUILD.glob("lom*"):
            if program.is_file():
                shutil.copy(program, programs)
        sp.programs = {"lomd": programs / "lomd", "lom": programs / "lom"}
        sp.start()
        shutil.copy(programs / "lomd", programs / "lomd.new")
        os.replace(programs / "lomd.new", programs / "lomd")
        running = pathlib.Path(f"/proc/{sp.process.pid}/exe")
        assert os.readlink(running) == f"{programs}/lomd (deleted)"
        assert sp.lom("reset -script /SP").returncode == 0
        wait_until(lambda: os.readlink(running) == str(programs / "lomd"), 20, "the new program runs")
        wait_until(lambda: sp.lom("version").returncode == 0, 20, "it answers")


# -- the image reader dies


@pytest.mark.qemu
@with_images
def test_a_killed_image_reader_is_replaced_and_the_guest_reads_right(booted, console):
    sp = booted
    qemu, [media] = demo_host.qemu_pid(sp), demo_host.processes(sp, "lom-media")
    expected = hashlib.sha256(isos.demo().read_bytes()).hexdigest()
    console.run("echo 3 >/proc/sys/vm/drop_caches")
    since = console.type_line("sha256sum /dev/sr0; echo status=$?")
    os.kill(media, signal.SIGKILL)
    wait_until(lambda: demo_host.storage_status(sp) != "operational", 5, "the loss shows in status")
    demo_host.wait_for_storage(sp, "operational", 20)
    assert demo_host.processes(sp, "lom-media") != [media]
    console.wait_for(rb"status=\d", 60, since)
    assert f"{expected}  /dev/sr0\r\nstatus=0" in console.seen()[since:].decode()
    assert demo_host.prop(sp, "/HOST", "status") == "Powered On"
    # The same while lomd was not there to see it die.
    [media] = demo_host.processes(sp, "lom-media")
    sp.kill9()
    os.kill(media, signal.SIGKILL)
    assert restart(sp) < 2
    demo_host.wait_for_storage(sp, "operational", 20)
    console.run("echo 3 >/proc/sys/vm/drop_caches")
    assert expected in console.run("sha256sum /dev/sr0").decode()
    assert b"I/O error" not in console.run("dmesg | grep sr0")
    assert demo_host.qemu_pid(sp) == qemu


# -- a full disk


@pytest.fixture
def small_disk(images, log_dir):
    """A lomd whose state folder has a small disk of its own."""
    lomd = Lomd()
    lomd.state_dir.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "openlom-test", lomd.state_dir],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        lomd.__exit__()
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        lomd.start()
        demo_host.point_at_image(lomd, images)
        yield lomd
    finally:
        shutil.copy(lomd.log, log_dir)
        lomd.stop()
        subprocess.run(["umount", "-l", lomd.state_dir], check=True)
        lomd.__exit__()


def fill(folder):
    filler = folder / "filler"
    with open(filler, "ab", buffering=0) as file:
        try:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    pass
        finally:
            file.close()
    return filler


@pytest.mark.qemu
@with_images
def test_a_full_disk_is_said_and_corrupts_nothing(small_disk):
    sp = small_disk
    demo_host.boot_cd(sp)
    client = ConsoleClient(sp)
    wait_until(client.at_guest_prompt, demo_host.BOOT_LIMIT, "the guest's shell waits")
    filler = fill(sp.state_dir)
    kept = ""
    for number in range(500):
        done = sp.lom(f"set /SP system_contact={number}-{'x' * 100}")
        if done.returncode != 0:
            break
        kept = f"{number}-{'x' * 100}"
    assert done.returncode != 0
    assert "The disk that holds the state folder is full; nothing was changed. Free some space and try again." in \
        done.stdout + done.stderr
    assert demo_host.prop(sp, "/SP", "system_contact") == (kept or "(none)")
    # lomd killed on the full disk: the next one still has everything and serves the host.
    sp.kill9()
    assert restart(sp) < 2
    assert demo_host.prop(sp, "/SP", "system_contact") == (kept or "(none)")
    assert demo_host.prop(sp, "/HOST", "status") == "Powered On"
    # The guest prints more than the room that was kept for it; it is not held up by that.
    client.type_line("lomtest-stream 3000000 1")
    wait_until(lambda: "The disk is full: the console log" in demo_host.events(sp), 30, "an event names the full disk")

    filler.unlink()
    wait_until(lambda: "has room again" in demo_host.events(sp), 60, "an event tells of the room")
    said = demo_host.events(sp)
    assert "The disk is full: the console log" in said
    wait_until(client.at_guest_prompt, 60, "the guest's shell waits again")
    assert b"going on" in client.run("echo going o''n")
    assert sp.lom("set /SP system_contact=after").returncode == 0
    sp.kill9()
    assert restart(sp) < 2
    assert demo_host.prop(sp, "/SP", "system_contact") == "after"
    with sqlite3.connect(f"file:{sp.state_dir}/openlom.db?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    client.close()
