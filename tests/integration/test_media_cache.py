"""What lom-media keeps: the whole image while nobody reads, on disk for another time, and how it tells."""

import hashlib
import os
import random
import re
from pathlib import Path

import pytest

from tests.support import sshd as sshd_module
from tests.support.guest import STORAGE, get, must
from tests.support.image_server import ImageServer
from tests.support.lom_media import PROGRAM, LomMedia
from tests.support.lomd import Lomd, wait_until
from tests.support.sshd import Sshd

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if not os.path.exists("/dev/fuse"):
    pytest.skip("/dev/fuse is missing", allow_module_level=True)
if sshd_module.missing():
    pytest.skip(sshd_module.missing(), allow_module_level=True)

MIB = 1 << 20


def image_bytes(seed):
    return random.Random(seed).randbytes(12 * MIB + 4321)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(name="image")
def image_fixture(server):
    path = server.put("image.iso", image_bytes(1))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture(name="start")
def start_fixture(tmp_path, server, image):
    folder = tmp_path / "media"
    folder.mkdir()
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    started = []

    def start(*options):
        media = LomMedia(folder, server.uri(image), server.credentials(),
                         options=["--cache-dir", str(cache), *options])
        started.append(media)
        return media.wait_ready()

    start.cache = cache
    yield start
    for media in started:
        media.close()


def filled(media):
    media.control = media.connect_control()
    return media.control.wait(lambda report: report["fill"] == 100, 20)


def kill(media):
    media.process.kill()
    media.process.wait()
    media.close()


def test_an_image_that_nobody_reads_is_fetched_whole(start, server, image):
    media = start()
    report = filled(media)
    assert len(image_bytes(1)) <= report["bytes_read"] <= len(image_bytes(1)) + MIB
    assert report["latency"] > 0
    server.stop()
    server.kill_sessions()
    try:
        assert sha256(media.file.read_bytes()) == sha256(image_bytes(1)), "no server is needed"
        hits = media.control.wait(lambda report: report["cache_hits"] > 0, 10)["cache_hits"]
        assert hits > 90
    finally:
        server.start()


def test_not_filled_when_told_so(start):
    media = start("--no-fill")
    assert media.file.read_bytes()[:MIB] == image_bytes(1)[:MIB]
    again = start.cache  # what was read is kept all the same
    wait_until(lambda: any(path.stat().st_blocks * 512 > 8 * MIB for path in again.iterdir()), 10,
               "what was read is on disk")


def test_the_disk_cache_outlives_kill_9(start):
    media = start()
    filled(media)
    kill(media)
    media = start()
    report = filled(media)
    assert sha256(media.file.read_bytes()) == sha256(image_bytes(1))
    assert report["bytes_read"] < 2 * MIB, "only samples are fetched again"


def test_a_damaged_disk_cache_costs_blocks_and_no_byte(start):
    media = start()
    filled(media)
    kill(media)
    (kept,) = start.cache.iterdir()
    dice = random.Random(4)
    with open(kept, "r+b") as file:
        for _ in range(20):
            file.seek(dice.randrange(kept.stat().st_size))
            file.write(dice.randbytes(5000))
    media = start()
    assert sha256(media.file.read_bytes()) == sha256(image_bytes(1))
    kill(media)
    os.truncate(kept, 5 * MIB)
    media = start()
    assert sha256(media.file.read_bytes()) == sha256(image_bytes(1))


def test_another_image_of_the_same_name_size_and_time_is_seen(start, server, image):
    media = start()
    filled(media)
    kill(media)
    server.put("image.iso", image_bytes(2))
    os.utime(image, (1_700_000_000, 1_700_000_000))
    media = start()
    assert sha256(media.file.read_bytes()) == sha256(image_bytes(2))


@pytest.mark.skipif(bool(Lomd.missing() or ImageServer.missing()),
                    reason=Lomd.missing() or ImageServer.missing() or "built")
def test_properties(tmp_path):
    with ImageServer(tmp_path / "sshd.log") as images, Lomd() as sp:
        (images.home / "x.iso").write_bytes(image_bytes(3))
        assert get(sp, STORAGE, "cache_size") == 256 * MIB
        assert get(sp, STORAGE, "disk_cache_size") == 0
        refused = sp.lom(f"set {STORAGE} cache_size=1M")
        assert refused.returncode != 0
        assert get(sp, STORAGE, "fill") in ("", "(none)")
        must(sp, f"set {STORAGE} cache_size=64M disk_cache_size=1G mode=disabled",
             f"set {STORAGE}/remote username={images.username} password={images.password} "
             f"server_URI={images.uri('x.iso')}",
             f"set {STORAGE} mode=remote")
        wait_until(lambda: get(sp, STORAGE, "fill") == "100%", 30, "the image is filled")
        assert 0 <= get(sp, STORAGE, "bytes_read") - len(image_bytes(3)) < MIB
        assert re.fullmatch(r"\d+\.\d ms", get(sp, STORAGE, "latency"))
        assert re.fullmatch(r"\d+\.\d MB/s", get(sp, STORAGE, "rate"))
        assert re.fullmatch(r"\d+%", get(sp, STORAGE, "cache_hits"))
        (kept,) = (sp.state_dir / "media-cache").iterdir()
        wait_until(lambda: kept.stat().st_blocks * 512 > 12 * MIB, 10, "it is on disk")
        running = [words for words in map(command_line, os.listdir("/proc"))
                   if str(sp.run_dir / "hosts/host0/media0/image.iso") in words]
        assert running and all("67108864" in words for words in running)


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []
