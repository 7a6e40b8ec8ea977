"""lom-media against real servers of NFS (nfs-ganesha) and SMB (Samba), and files of its own machine."""

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading

import pytest

from tests.support import ganesha, samba
from tests.support.guest import STORAGE, get, must
from tests.support.lom_media import PROGRAM, Background, LomMedia
from tests.support.lomd import Lomd, sanitized, wait_until

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)

MIB = 1 << 20
DATA = random.Random(7).randbytes(24 * MIB + 321)
KINDS = {"nfs": (ganesha, ganesha.Ganesha), "smb": (samba, samba.Samba)}


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    module, kind = KINDS[request.param]
    if module.missing():
        pytest.skip(module.missing())
    # Not in pytest's folder, which is root's alone: Samba reads as another user.
    with tempfile.TemporaryDirectory(prefix="openlom-test-") as folder, kind(folder) as running:
        os.chmod(folder, 0o755)
        running.put("image.iso", DATA)
        running.put("short.iso", b"x" * 100)
        (running.files / "folder.iso").mkdir()
        yield running


def login(server, **more):
    return server.credentials(**more) if isinstance(server, samba.Samba) else None


@pytest.fixture
def media(server, tmp_path):
    with LomMedia(tmp_path, server.uri("image.iso"), login(server)) as one:
        one.wait_status("operational")
        yield one


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(file.read()).hexdigest()


def readers_of(media):
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    return [reader for steward in children(media.process.pid) for reader in children(steward)]


def kill_readers(media):
    for pid in readers_of(media):
        with contextlib.suppress(ProcessLookupError):  # lom-media ends the others after the first
            os.kill(pid, signal.SIGKILL)


def rights(pid):
    """User ids, whether it can gain rights, whether its calls are filtered, capabilities."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return set(status["Uid"].split()), status["NoNewPrivs"].strip(), status["Seccomp"].strip(), int(status["CapEff"], 16)


def test_every_byte_is_right(media):
    with open(media.file, "rb") as file:
        for place in (0, 5 * MIB + 17, len(DATA) - 1000, 3 * MIB, 12 * MIB - 1):
            file.seek(place)
            assert file.read(70000) == DATA[place:place + 70000]
    assert digest(media.file) == hashlib.sha256(DATA).hexdigest()


def test_what_is_wrong_is_said(server, tmp_path):
    for name, status in (("missing.iso", "no such file"), ("short.iso", "too short"),
                         ("folder.iso", "not a regular file")):
        folder = tmp_path / name
        folder.mkdir()
        with LomMedia(folder, server.uri(name), login(server)) as media:
            assert media.wait_status(status)["detail"].endswith(".")


def test_a_wrong_password_is_refused(server, tmp_path):
    if not isinstance(server, samba.Samba):
        pytest.skip("NFS has no login")
    with LomMedia(tmp_path, server.uri("image.iso"), login(server, password="wrong")) as media:
        assert "password" in media.wait_status("login refused")["detail"]


def test_the_readers_have_no_rights(media):
    low_port = 1 << 10  # NFS servers ask for one
    filtered = "0" if sanitized() else "2"
    assert readers_of(media)
    wait_until(lambda: all(rights(pid) in (({"65534"}, "1", filtered, 0), ({"65534"}, "1", filtered, low_port))
                           for pid in readers_of(media)), 10, "the readers have given up their rights")
    if sanitized():
        return
    for pid in [media.process.pid, *readers_of(media)]:
        assert set(os.listdir(f"/proc/{pid}/root")) <= {"dev", "etc", "lib", "lib64", "proc", "run", "usr"}
        with open(f"/proc/{pid}/mountinfo", encoding="ascii") as mounts:
            assert "fuse" not in mounts.read(), "what is unmounted outside is not held here"


def test_a_read_waits_for_a_server_that_comes_back(server, media):
    server.stop()
    kill_readers(media)
    reading = Background(lambda: digest(media.file))
    media.wait_status("reconnecting", 20)
    server.start()
    media.wait_status("operational", 20)
    assert reading.result(30) == hashlib.sha256(DATA).hexdigest()


def test_killed_readers_are_replaced(media):
    with open(media.file, "rb") as file:
        assert file.read(4096) == DATA[:4096]
        kill_readers(media)
        file.seek(20 * MIB)
        assert file.read(4096) == DATA[20 * MIB:20 * MIB + 4096]


def test_another_image_of_that_name_is_refused(server, tmp_path):
    server.put("changing.iso", DATA[:4 * MIB])
    with LomMedia(tmp_path, server.uri("changing.iso"), login(server)) as media:
        media.wait_status("operational")
        server.put("new", bytes(4 * MIB))
        os.rename(server.files / "new", server.files / "changing.iso")
        kill_readers(media)
        media.wait_status("image changed", 20)
        with pytest.raises(OSError), open(media.file, "rb", buffering=0) as file:
            file.seek(3 * MIB)
            file.read(4096)


def test_an_image_overwritten_in_place_gives_no_byte_of_the_other(server, tmp_path):
    server.put("overwritten.iso", DATA[:16 * MIB])
    path = server.files / "overwritten.iso"
    os.utime(path, (1_700_000_000, 1_700_000_000))
    with LomMedia(tmp_path, server.uri("overwritten.iso"), login(server), options=["--no-fill"]) as media:
        media.wait_status("operational")
        with open(media.file, "rb", buffering=0) as file:
            assert file.read(4096) == DATA[:4096]
            if isinstance(server, samba.Samba):
                wait_until(lambda: not server.is_open(), 10, "the reader lets go of the file")
            path.write_bytes(bytes(16 * MIB))
            os.utime(path, (1_700_000_100, 1_700_000_100))
            file.seek(12 * MIB)
            with pytest.raises(OSError):
                file.read(4096)
        media.wait_status("image changed", 20)


@pytest.mark.parametrize("scheme", KINDS)
def test_a_server_that_says_nothing_is_named_in_time(scheme, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/images/image.iso"
        with LomMedia(tmp_path, uri) as media:
            report = media.control or media.connect_control()
            assert report.wait(lambda one: one["status"] != "connecting", 12)["status"] in ("unreachable", "failed")


@pytest.mark.parametrize("scheme", KINDS)
def test_a_server_that_talks_nonsense_is_survived(scheme, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enough = threading.Event()

        def talk():
            listener.settimeout(0.1)
            while not enough.is_set():
                try:
                    peer, _ = listener.accept()
                    with peer:
                        peer.sendall(random.Random(9).randbytes(100_000))
                except OSError:
                    pass

        talking = Background(talk)
        uri = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/images/image.iso"
        with LomMedia(tmp_path, uri) as media:
            control = media.connect_control()
            assert control.wait(lambda one: one["status"] not in ("connecting", "operational"), 12)
            assert media.process.poll() is None
            enough.set()
        talking.result(30)


# Files of the machine itself


def test_a_file_below_the_allowed_folder(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "x.iso").write_bytes(DATA)
    (tmp_path / "secret").write_bytes(DATA)
    (images / "link.iso").symlink_to("../secret")
    (images / "pipe.iso").symlink_to("x.iso")
    for name, status in (("images/x.iso", "operational"), ("images/pipe.iso", "operational"),
                         ("secret", "permission denied"), ("images/link.iso", "permission denied"),
                         ("images/none.iso", "no such file")):
        folder = tmp_path / ("at-" + name.replace("/", "-"))
        folder.mkdir()
        with LomMedia(folder, f"file://{tmp_path}/{name}", options=["--allowed-folder", str(images)]) as media:
            media.wait_status(status)
            if status == "operational":
                assert digest(media.file) == hashlib.sha256(DATA).hexdigest()


def test_no_folder_is_allowed_by_default(tmp_path):
    with LomMedia(tmp_path, "file:///etc/passwd") as media:
        assert "switched off" in media.wait_status("permission denied")["detail"]


# As somebody uses them


def test_fetch(server):
    done = subprocess.run([PROGRAM, "--fetch", "--allow-loopback", server.uri("short.iso"), *(["--credentials-fd", "0"])],
                          input=samba_json(server), capture_output=True, timeout=30, check=False)
    assert done.stdout == b"x" * 100, done


def samba_json(server):
    fields = login(server) or {}
    return ("{" + ", ".join(f'"{name}": "{value}"' for name, value in fields.items()) + "}").encode()


def test_set_as_server_uri(server):
    with Lomd() as sp:
        if login(server):
            must(sp, *(f"set {STORAGE}/remote {name}={value}" for name, value in login(server).items()))
        must(sp, f"set {STORAGE}/remote server_URI={server.uri('image.iso')}", f"set {STORAGE} mode=remote")
        wait_until(lambda: get(sp, STORAGE, "status") == "operational", 15, "the image is there")
        assert get(sp, STORAGE, "size") == "24 MB"
