"""The image's source goes away under a running Linux: what the guest sees, what people are told."""

import os
import re
import signal
import time

import pytest

from tests.support import demo_host, isos
from tests.support.faulty_proxy import FaultyProxy
from tests.support.guest import (GUESTS_WITH_IMAGES, STORAGE, GuestConsole, Linux, events, get, insert, must,
                                 power_off, qemu_pid, wait_for)
from tests.support.image_server import ImageServer
from tests.support.lom_media import Background
from tests.support.lomd import Lomd, wait_until

REMOTE = f"{STORAGE}/remote"

pytestmark = GUESTS_WITH_IMAGES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        images.add(isos.demo())
        (images.home / "big.iso").write_bytes(isos.disc("BIGDISC", 48 << 20))
        yield images


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        # Else the whole image would soon be there, and no outage be noticed.
        must(lomd, f"set {STORAGE} cache_size=4M")
        yield lomd


@pytest.fixture(scope="module")
def linux(sp, server):
    insert(sp, server, server.uri("demo.iso"))
    must(sp, "set /System/Memory installed_memory=512M", 'set /HOST/bootmode script="boot rcdrom"')
    with GuestConsole(sp) as console:
        must(sp, "start -script /SYS")
        guest = Linux(console).wait()
        must(sp, f"set {STORAGE} mode=disabled")
        insert(sp, server, server.uri("big.iso"))
        yield guest
    power_off(sp)


class Reading:
    """A read of the CD that begins now, past every cache; its outcome comes later. A direct one: of a read
    through its cache Linux tries a second time what failed, and that may meet the next disc already."""

    numbers = iter(range(1, 100))

    def __init__(self, linux):
        self.console, self.number = linux.console, next(self.numbers)
        # Far apart: no read-ahead of an earlier one brought it.
        skip = 2000 + 1000 * self.number
        linux.console.send(f"dd if=/dev/sr0 bs=2048 skip={skip} count=4 iflag=direct of=/tmp/part "
                           f"2>/dev/null; echo e'nd'{self.number}=$?\r")

    def outcome(self, limit=60):
        return int(self.console.expect(rf"end{self.number}=(\d+)\r\n", limit)[1])


def hold(sp, linux, limit):
    reading = Reading(linux)
    wait_for(sp, "/HOST", "status", "Host stopped", limit)
    return reading


def test_start_waits_for_an_image_that_is_on_its_way(sp, server):
    """Before the others: the host is off."""
    with FaultyProxy(server.port) as line:
        line.drop()
        uri = server.uri("big.iso").replace(f":{server.port}", f":{line.port}")
        must(sp, f"set {REMOTE} username={server.username} password={server.password}")
        sp.lom(f"set {STORAGE} mode=remote")
        person = sp.terminal()
        setting = Background(lambda: sp.lom(f"set {REMOTE} server_URI={uri}"))  # it waits 10 s itself
        wait_for(sp, STORAGE, "status", "connecting", 5)
        told = "The remote image is not there yet (connecting): " + uri
        person.send("start /SYS\ry\r")
        person.expect_exact(told)
        person.expect_exact("Ctrl-C stops it.")
        person.send("\x03")
        person.expect_exact("start: Stopped waiting; nothing was started.")
        assert get(sp, "/HOST", "status") == "Powered Off"
        person.send("start /SYS\ry\r")
        person.expect_exact(told)
        person.expect_exact("Ctrl-C stops it.")
        line.heal()
        person.expect_exact("Starting /SYS", timeout=20)
        assert get(sp, STORAGE, "status") == "operational"
        person.close(force=True)
        setting.result(15)
    power_off(sp)
    must(sp, f"set {STORAGE} mode=disabled")


def test_one_outage_from_end_to_end(sp, server, linux):
    """The steps build on each other: the first read waits 20 s, the others of the same outage do not."""
    qemu = qemu_pid(sp)
    assert (get(sp, STORAGE, "on_outage"), get(sp, STORAGE, "outage_timeout")) == ("wait", 0)
    assert get(sp, STORAGE, "unavailable_since") == ""
    server.stop()
    wait_for(sp, STORAGE, "status", "reconnecting", 20)

    # wait: held, and said.
    reading = hold(sp, linux, 40)
    assert "waits for the source of its CD image" in get(sp, "/HOST", "status_detail")
    assert re.fullmatch(r"\w{3} \w{3} .*\d{4}", get(sp, STORAGE, "unavailable_since"))
    assert get(sp, STORAGE, "unavailable_tries") > 3
    assert "127.0.0.1" in get(sp, STORAGE, "last_error")
    told = events(sp)
    assert any(": reconnecting." in text for text in told)
    assert told[-1] == "The host waits for the source of its CD image and goes on by itself."

    # The time is over already: an error, and the guest runs.
    must(sp, f"set {STORAGE} outage_timeout=5")
    assert reading.outcome(20) == 1
    wait_for(sp, "/HOST", "status", "Powered On", 5)
    assert "The guest was given an I/O error by its CD, which cannot be read now." in events(sp)

    # report: an error at once, never held.
    must(sp, f"set {STORAGE} on_outage=report outage_timeout=0")
    assert Reading(linux).outcome(10) == 1
    assert get(sp, "/HOST", "status") == "Powered On"

    # wait again; lom-media dies meanwhile, and that is no error either.
    must(sp, f"set {STORAGE} on_outage=wait")
    reading = hold(sp, linux, 5)
    [media] = demo_host.processes(sp, "lom-media")
    os.kill(media, signal.SIGKILL)
    wait_for(sp, STORAGE, "status", re.compile("failed|starting|refused"), 5)
    wait_for(sp, STORAGE, "status", "connection refused", 10)
    assert get(sp, "/HOST", "status") == "Host stopped"
    must(sp, f"set {STORAGE} on_outage=report")
    assert reading.outcome(10) == 1, "also those that wait since before lom-media died"

    # Ejecting is at once, also while the guest is held.
    must(sp, f"set {STORAGE} on_outage=wait")
    reading = hold(sp, linux, 5)
    began = time.monotonic()
    must(sp, f"set {STORAGE} mode=disabled")
    wait_for(sp, "/HOST", "status", "Powered On", 5)
    assert time.monotonic() - began < 3  # three calls of lom, each of them a process
    assert reading.outcome(10) == 1

    # And back.
    server.start()
    must(sp, f"set {STORAGE} mode=remote")
    wait_for(sp, STORAGE, "status", "operational", 10)
    assert get(sp, STORAGE, "unavailable_since") == ""
    wait_for_read(linux)
    assert qemu_pid(sp) == qemu


def test_the_guest_goes_on_and_it_is_told(sp, server, linux):
    server.stop()
    wait_for(sp, STORAGE, "status", "reconnecting", 20)
    reading = Reading(linux)
    server.start()
    assert reading.outcome(30) == 0
    wait_for(sp, STORAGE, "status", "operational", 10)
    assert re.search(r": operational\. The image can be read\. It was away for \d+ s \(\d+ tr(y|ies)\)\.$",
                     events(sp)[-1])


def volume_id(linux):
    linux.run("dd if=/dev/sr0 bs=2048 skip=16 count=1 of=/tmp/part 2>/dev/null")
    return linux.get("tail -c +41 /tmp/part | head -c 32").strip()


def test_another_image_comes_as_another_disc(sp, server, linux):
    """Same name, same size, same time: the reader is told nothing and finds it out. Nobody gets a byte of
    it until the image is inserted anew; then the guest sees a disc change, not a disc that changes."""
    assert volume_id(linux) == "BIGDISC"
    server.stop()
    wait_for(sp, STORAGE, "status", "reconnecting", 20)
    path = server.home / "big.iso"
    before = path.stat()
    path.write_bytes(isos.disc("OTHERDISC", 48 << 20))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    server.start()
    wait_for(sp, STORAGE, "status", "image changed", 10)
    reading = hold(sp, linux, 5)
    must(sp, f"set {REMOTE} server_URI={server.uri('big.iso')}")
    wait_for(sp, STORAGE, "status", "operational", 10)
    assert reading.outcome(20) == 1
    wait_for(sp, "/HOST", "status", "Powered On", 5)
    wait_until(lambda: volume_id(linux) == "OTHERDISC", 20, "the new disc is seen")


def test_a_held_host_is_reset_and_stopped_at_once(sp, server, linux):
    server.stop()
    (server.home / "big.iso").chmod(0)
    server.start()
    wait_for(sp, STORAGE, "status", "permission denied", 20)
    hold(sp, linux, 5)
    for line, status in (("reset -force -script /SYS", "Powered On"), ("stop -force -script /SYS", "Powered Off")):
        began = time.monotonic()
        must(sp, line)
        wait_for(sp, "/HOST", "status", status, 5)
        assert time.monotonic() - began < 3
    (server.home / "big.iso").chmod(0o644)


def wait_for_read(linux):
    """The guest may see the disc change first."""
    assert 0 in [Reading(linux).outcome() for _ in range(4)]
