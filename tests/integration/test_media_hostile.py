"""Servers that lie: whatever they send, memory and time are bounded and the status says it."""

import os
from pathlib import Path

import pytest

from tests.support.lom_media import PROGRAM, Background, LomMedia
from tests.support.odd_http import OddHttp
from tests.support.sshd import Sshd

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if not os.path.exists("/dev/fuse"):
    pytest.skip("/dev/fuse is missing", allow_module_level=True)

MIB = 1 << 20
SCRIPT = Path(__file__).resolve().parents[1] / "support" / "odd_sftp.py"


def peak(media):
    """The most memory it ever had, in MiB."""
    status = Path(f"/proc/{media.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def bounded(media):
    """With a cache of 4 MiB."""
    return peak(media) < 64


@pytest.mark.parametrize("mode,status", [
    ("headers", "unreachable"), ("huge", "failed"), ("loop", "failed"), ("garbage", "unreachable"),
    ("empty", "unreachable"), ("silent", "unreachable")])
def test_a_web_server_that_cannot_be_used(tmp_path, mode, status):
    with OddHttp(mode) as server:
        with LomMedia(tmp_path, server.uri, {}, options=["--cache-size", str(4 * MIB)]) as media:
            assert media.wait_status(status, 20)["detail"].endswith(".")
            assert bounded(media)
            assert media.terminate() == 0


@pytest.mark.parametrize("mode", ["body", "truncated", "other", "growing"])
def test_a_web_server_that_serves_wrongly(tmp_path, mode):
    """It looks well until blocks are asked for; no byte of it is believed."""
    with OddHttp(mode) as server:
        with LomMedia(tmp_path, server.uri, {}, options=["--cache-size", str(4 * MIB)]) as media:
            said = media.connect_control()
            said.wait(lambda report: report["status"] != "connecting", 20)
            reading = Background(lambda: Path(media.file).read_bytes()[4 * MIB:])
            said.wait(lambda report: report["status"] in ("reconnecting", "image changed"), 20)
            said.close()
            assert bounded(media)
            assert media.terminate() == 0
            try:
                assert not reading.result(10)  # it was never mounted: the plain file below
            except OSError:
                pass  # as it should be when it was


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("server")) as sshd:
        sshd.image = sshd.put("image.iso", b"i" * (8 * MIB))
        sshd.script = sshd.put("odd_sftp.py", SCRIPT.read_bytes())
        yield sshd


@pytest.mark.parametrize("mode,status", [("huge", "failed"), ("silent", "failed")])
def test_an_ssh_server_that_cannot_be_used(tmp_path, server, mode, status):
    with Sshd(tmp_path, account=server, sftp=f"/usr/bin/python3 {server.script} {mode}") as odd:
        with LomMedia(tmp_path, odd.uri(server.image), odd.credentials(),
                      options=["--cache-size", str(4 * MIB)]) as media:
            assert media.wait_status(status, 25)["detail"].endswith(".")
            assert bounded(media)


@pytest.mark.parametrize("mode", ["twice", "endless"])
def test_an_ssh_server_that_answers_too_much(tmp_path, server, mode):
    with Sshd(tmp_path, account=server, sftp=f"/usr/bin/python3 {server.script} {mode}") as odd:
        with LomMedia(tmp_path, odd.uri(server.image), odd.credentials(),
                      options=["--cache-size", str(4 * MIB)]) as media:
            media.wait_ready()
            reader = os.open(media.file, os.O_RDONLY)
            pid = os.fork()
            if pid == 0:
                try:
                    os.pread(reader, 4096, 5 * MIB)
                finally:
                    os._exit(0)
            os.close(reader)
            media.wait_status("reconnecting", 20)
            assert bounded(media)
            assert media.terminate() == 0
            os.waitpid(pid, 0)
