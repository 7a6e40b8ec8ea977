"""lomd dies and comes back: one lom-media per image before and after, whatever moment it died at."""

import json
import re

import pytest

from tests.support import demo_host, isos
from tests.support.guest import STORAGE, events, get, insert, must, wait_for
from tests.support.image_server import ImageServer
from tests.support.lomd import Lomd, wait_until

pytestmark = pytest.mark.skipif(bool(Lomd.missing() or ImageServer.missing()),
                                reason=Lomd.missing() or ImageServer.missing() or "built")


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        (images.home / "small.iso").write_bytes(isos.disc("SMALL", 1 << 20))
        yield images


@pytest.fixture(name="sp")
def sp_fixture(server):
    with Lomd() as lomd:
        insert(lomd, server, server.uri("small.iso"))
        yield lomd


def record(sp):
    return sp.state_dir / "hosts/host0/media0.json"


def operational_events(sp):
    return [text for text in events(sp) if re.search(r"Remote image .*: operational\.", text)]


def one_reader(sp):
    wait_until(lambda: len(demo_host.processes(sp, "lom-media")) == 1, 10, "one lom-media")
    return demo_host.processes(sp, "lom-media")


@pytest.mark.parametrize("left", ["whole", "as before the start", "nothing"])
def test_the_reader_is_found_again(sp, left):
    readers = one_reader(sp)
    told = operational_events(sp)
    sp.kill9()
    if left == "as before the start":
        record(sp).write_text(json.dumps({**json.loads(record(sp).read_text()), "pid": 0, "start_time": 0}))
    elif left == "nothing":
        record(sp).unlink()
    sp.start()
    wait_for(sp, STORAGE, "status", "operational", 10)
    # Without a record nobody knows what it serves, and with which credentials.
    assert (one_reader(sp) == readers) == (left != "nothing")
    assert (operational_events(sp) == told) == (left != "nothing"), "what is known already is not told again"
    assert json.loads(record(sp).read_text())["pid"] == one_reader(sp)[0]


def test_a_reader_that_nobody_wants_any_more_is_ended(sp):
    one_reader(sp)
    sp.kill9()
    sp.start()
    must(sp, f"set {STORAGE} mode=disabled")
    wait_until(lambda: not demo_host.processes(sp, "lom-media"), 10, "no lom-media")
    assert get(sp, STORAGE, "status") == "disabled"
    wait_until(lambda: not demo_host.processes(sp, "lom-keep"), 10, "no lom-keep")
