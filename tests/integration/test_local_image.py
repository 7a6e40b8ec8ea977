"""An image on the user's own computer: whoever is logged in feeds the drive by websocket, as the page
does, and the host reads it like any other. What the page itself does is in test_page.py."""

import pathlib
import socket
import struct
import threading
import time

import pytest

from tests.support import isos
from tests.support.guest import get, must
from tests.support.lomd import Lomd, wait_until
from tests.support.redfish import Client
from tests.support.websocket import WebSocket

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing())

DRIVE = "/SP/services/kvms/host_storage_device"
MODIFIED = 1_700_000_000_123


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def image():
    return pathlib.Path(isos.hello()).read_bytes()


@pytest.fixture
def client(sp):
    one = Client(sp)
    yield one
    must(sp, f"set {DRIVE} mode=disabled")


class Page:
    """Feeds `image` until close()."""

    def __init__(self, sp, client, image, name="own.iso", modified=MODIFIED, lie=None, **query):
        self.image, self.lie, self.asked, self.sent_away = image, lie, 0, None
        words = "".join(f"&{key}={value}" for key, value in query.items())
        self.socket = WebSocket(sp.ports["https"], f"/console/media?file={name}{words}", client.headers, 60)
        self.status = self.socket.status
        if self.status != 101:
            return
        self.socket.send(b"H" + struct.pack(">QQ", len(image), modified))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        buffer = b""
        while True:
            try:
                part = self.socket.receive()
            except OSError:
                return
            if part is None:
                return
            buffer += part
            while buffer:
                if buffer[:1] == b"X":
                    self.sent_away = buffer[1:2]
                    return
                if len(buffer) < 17:
                    break
                request, offset, length = struct.unpack(">IQI", buffer[1:17])
                buffer = buffer[17:]
                self.asked += 1
                data = self.image[offset:offset + length]
                if self.lie:
                    self.socket.send(self.lie(request, data))
                else:
                    self.socket.send(b"D" + struct.pack(">II", request, len(data)) + data)

    def close(self):
        self.socket.socket.shutdown(socket.SHUT_RDWR)


def status(sp):
    return get(sp, DRIVE, "status")


def operational(sp):
    wait_until(lambda: status(sp) == "operational", 20, "the image can be read")


def mounted(sp):
    return (sp.run_dir / "hosts/host0/media0/image.iso").read_bytes()


def test_the_host_reads_the_page_s_file(sp, client, image):
    page = Page(sp, client, image)
    operational(sp)
    assert mounted(sp) == image
    assert get(sp, DRIVE, "volume_id") == "LOMHELLO"
    assert get(sp, DRIVE + "/local", "file") == "own.iso"
    assert get(sp, DRIVE + "/local", "user") == "root (127.0.0.1)"
    assert 0 < get(sp, DRIVE, "bytes_read") <= len(image) * 2
    cd = client.get("/redfish/v1/Systems/host0/VirtualMedia/Cd").json
    assert (cd["Inserted"], cd["ConnectedVia"]) == (True, "Applet")
    must(sp, f"set {DRIVE} mode=disabled")  # somebody ejects it: the page hears that
    page._thread.join(10)
    assert not page._thread.is_alive()
    assert Page(sp, client, image, resume="true").status == 409, "an ejected image comes not back by itself"


def test_a_closed_tab_holds_and_the_same_file_goes_on(sp, client, image):
    first = Page(sp, client, image)
    operational(sp)
    first.close()
    wait_until(lambda: status(sp) == "reconnecting", 10, "the tab was closed")
    assert "choose the same file" in get(sp, DRIVE, "status_detail")
    # Another file of that name is sent away, and harms nothing.
    other = Page(sp, client, image[:-2048], resume="true")
    wait_until(lambda: other.sent_away, 10, "it is told")
    assert other.sent_away == b"f" and status(sp) == "reconnecting"
    second = Page(sp, client, image, resume="true")
    operational(sp)
    assert mounted(sp) == image
    # A second tab takes over from the first, which is told.
    third = Page(sp, client, image, resume="true")
    wait_until(lambda: second.sent_away, 10, "the older tab is told")
    assert second.sent_away == b"r"
    wait_until(lambda: third.asked and status(sp) == "operational", 10, "the newer one feeds")


def test_lomd_may_die_and_the_image_is_read_on(sp, client, image):
    page = Page(sp, client, image)
    operational(sp)
    sp.kill9()
    path = sp.run_dir / "hosts/host0/media0/image.iso"
    assert path.read_bytes() == image
    sp.start()
    operational(sp)
    assert page.sent_away is None and page._thread.is_alive()


def test_it_ends_with_its_session_and_nobody_else_feeds_it(sp, client, image):
    page = Page(sp, client, image)
    operational(sp)
    must(sp, "create /SP/users/other role=co password=Other-Person-1")
    try:
        other = Client(sp, "other", "Other-Person-1")
        assert Page(sp, other, image).status == 409, "the drive is somebody else's"
        assert Page(sp, other, image, resume="true").status != 101
        must(sp, "set /SP/users/other role=o")
        assert Page(sp, other, image, force="1").status == 403
    finally:
        must(sp, "delete -script /SP/users/other")
    mine = get(sp, DRIVE + "/local", "session")
    must(sp, f"delete -script /SP/sessions/{mine}")
    began = time.monotonic()
    wait_until(lambda: status(sp) == "disabled", 5, "it went with the session")
    page._thread.join(5)
    assert not page._thread.is_alive() and time.monotonic() - began < 1


def test_only_the_page_may_name_such_an_image(sp):
    refused = sp.lom(f"set {DRIVE}/remote server_URI=browser:///x.iso")
    assert refused.returncode == 2 and "web page" in refused.stdout + refused.stderr


@pytest.mark.parametrize("lie", [
    lambda request, data: b"D" + struct.pack(">II", request + 1, len(data)) + data,
    lambda request, data: b"D" + struct.pack(">II", request, 0xFFFFFFFF) + data,
    lambda request, data: b"?" * 40,
    lambda request, data: b"E" + struct.pack(">I", request),
], ids=["another request", "too long", "nonsense", "unreadable"])
def test_a_page_that_lies_is_cut_and_the_reader_lives(sp, client, image, lie):
    page = Page(sp, client, image, lie=lie)
    assert page.status == 101
    page._thread.join(20)
    assert not page._thread.is_alive()
    honest = Page(sp, client, image, resume="true")
    operational(sp)
    assert mounted(sp) == image
    honest.close()


def test_what_is_no_image_is_refused(sp, client):
    page = Page(sp, client, b"tiny")
    wait_until(lambda: page.sent_away, 10, "it is told")
    assert page.sent_away == b"s"
    assert Page(sp, client, b"x" * 4096, name="..%2F..%2Fetc%2Fpasswd").status == 400
