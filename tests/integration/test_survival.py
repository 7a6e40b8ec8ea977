"""What goes on when a part of the service processor dies: real lomd, ssh, QEMU, sshd, demo ISO."""

import hashlib
import os
import random
import re
import shutil
import signal
import time

import pytest

from tests.support import demo_host, isos
from tests.support.console_client import RESTARTING, ConsoleClient
from tests.support.image_server import ImageServer
from tests.support.lomd import Lomd, wait_until

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
