"""What networks and servers do to an image while it is read: real sshd, nginx, nfs-ganesha and Samba
behind a proxy that fails as networks do. In no case may a byte be wrong."""

import hashlib
import os
import random
import tempfile
import time

import pytest

from tests.support.faulty_proxy import FaultyProxy
from tests.support.lom_media import PROGRAM, Background, LomMedia
from tests.support.lomd import wait_until
from tests.support.sources import KINDS, Source
from tests.support.whole_image import random_image

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if not os.path.exists("/dev/fuse"):
    pytest.skip("/dev/fuse is missing", allow_module_level=True)

MIB = 1 << 20
STEP = 128 << 10


IMAGE, OTHER = (random_image(6 * MIB + 777, seed) for seed in (1, 2))
SHA = hashlib.sha256(IMAGE).hexdigest()
LONG_AGO = 1_600_000_000


def sha256_of(path):
    """Past the kernel's page cache, so that lom-media is asked."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        found = hashlib.sha256()
        while piece := os.read(fd, STEP):
            found.update(piece)
        return found.hexdigest()
    finally:
        os.close(fd)


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    if missing := Source.missing(request.param):
        pytest.skip(missing)
    # Not in pytest's folder, which is root's alone: Samba reads as another user.
    with tempfile.TemporaryDirectory(prefix="openlom-test-") as folder:
        os.chmod(folder, 0o755)
        with Source.of(request.param, folder) as running:
            yield running


@pytest.fixture(name="source")
def source_fixture(server):
    """With the image as it was at first."""
    server.path.unlink(missing_ok=True)
    server.put(IMAGE)
    os.utime(server.path, (LONG_AGO, LONG_AGO))
    return server


@pytest.fixture(name="line")
def line_fixture(source):
    with FaultyProxy(source.port) as line:
        yield line


@pytest.fixture(name="media")
def media_fixture(source, line, tmp_path):
    folder = tmp_path / "media"
    folder.mkdir()
    with LomMedia(folder, source.uri(line.port), source.credentials,
                  options=["--cache-size", str(2 * MIB)]) as media:
        media.wait_ready()
        media.wait_status("operational")
        yield media


def begin_to_read(media, line):
    """Slowly enough that what follows strikes in the middle."""
    line.slow(3 * MIB)
    before = line.passed
    reading = Background(lambda: sha256_of(media.file))
    while line.passed < before + MIB:
        time.sleep(0.01)
    return reading


@pytest.mark.parametrize("fault", ["drop", "half", "reset", "kill"])
def test_a_second_without_the_server(source, line, media, fault):
    reading = begin_to_read(media, line)
    if fault == "kill":
        source.kill()
    else:
        getattr(line, fault)()
    if fault in ("reset", "kill"):
        media.wait_status("reconnecting")
    time.sleep(1)  # the length of the outage
    if fault == "kill":
        source.start()
    line.heal()
    assert reading.result(20) == SHA
    report = media.wait_status("operational")
    assert (report["since"], report["tries"]) == (0, 0)
    if fault in ("reset", "kill"):
        away = next(r for r in media.control.reports if r["status"] == "reconnecting")
        assert abs(away["since"] - time.time()) < 60 and away["last_error"] == away["detail"] != ""
        assert report["last_error"] != ""


def quiet(line):
    """Whether nothing passes: what was guessed after a read has come."""
    before = line.passed
    time.sleep(0.1)  # the length of the look
    return line.passed == before


def test_a_line_of_64_kb_per_second(line, media):
    """Slow is no fault: no read takes as long as the 20 s after which it would fail."""
    fd = os.open(media.file, os.O_RDONLY)
    assert os.pread(fd, 4096, 5 * MIB) == IMAGE[5 * MIB:5 * MIB + 4096]
    wait_until(lambda: quiet(line), 20, "nothing is under way")
    line.slow(64_000)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    began = time.monotonic()
    assert os.pread(fd, 4096, 2 * MIB + 4096) == IMAGE[2 * MIB + 4096:2 * MIB + 8192]
    assert time.monotonic() - began < 15, "slowly, but it comes"
    os.close(fd)
    assert all(r["status"] == "operational" for r in media.control.reports[1:])


def written_over(path):
    with open(path, "r+b") as file:
        file.write(OTHER)


def moved_over(path):
    other = path.with_name("other.iso")
    other.write_bytes(OTHER)
    other.chmod(0o644)
    other.rename(path)


def cut(path):
    os.truncate(path, MIB)


def served_or_refused(media, limit):
    """Reads on until it is refused. Whatever comes before that is right."""
    deadline = time.monotonic() + limit
    dice = random.Random(3)
    fd = os.open(media.file, os.O_RDONLY)
    try:
        while time.monotonic() < deadline:
            at = dice.randrange(len(IMAGE) // STEP) * STEP
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                found = os.pread(fd, STEP, at)
            except OSError:
                return True
            assert found == IMAGE[at:at + STEP], f"wrong bytes at {at}"
        return False
    finally:
        os.close(fd)


@pytest.mark.parametrize("change", [written_over, moved_over, cut])
def test_the_file_becomes_another_while_it_is_read(source, line, media, change):
    if change is written_over and source.tells_old_time_while_open:
        pytest.skip("Samba tells the time of a file's first opening: the next test")
    reading = Background(lambda: served_or_refused(media, 8))
    time.sleep(0.2)  # it reads
    change(source.path)
    if change is moved_over and source.keeps_handles:
        time.sleep(0.3)  # the open handle still reads the old file, and may
        cut_connections(line)
    assert reading.result(30), "it is refused"
    assert "another one" in media.wait_status("image changed")["detail"]
    assert not any(r["status"] == "operational" for r in media.control.reports[-1:])


def test_the_file_becomes_another_while_nobody_reads(source, media):
    with open(media.file, "rb", buffering=0) as file:
        assert file.read(STEP) == IMAGE[:STEP]
    wait_until(lambda: not source.is_open(), 10, "a reader that has nothing to read lets go of the file")
    written_over(source.path)
    assert served_or_refused(media, 8), "it is refused"
    media.wait_status("image changed")


def cut_connections(line):
    line.reset()
    line.heal()


def test_the_file_becomes_unreadable(source, line, media):
    source.make_unreadable()
    cut_connections(line)
    reading = Background(lambda: sha256_of(media.file))
    report = media.wait_status(source.unreadable)
    assert report["since"] > 0
    with pytest.raises(OSError):
        reading.result(5)
