"""The tour as ./run plays it, against the build under test; and that nothing stays behind."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from support import isos
from support.image_server import ImageServer, descendants

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(420),
    pytest.mark.skipif(bool(ImageServer.missing()), reason=ImageServer.missing()),
]


@pytest.fixture
def tour(build_dir):
    """Starts demo/tour.py; whatever it leaves is found and ended."""
    if not (build_dir / "lomd").exists():
        pytest.skip(f"{build_dir}/lomd is not built")
    isos.demo()
    processes = []

    def start(*options):
        process = subprocess.Popen([sys.executable, "-B", REPOSITORY / "demo" / "tour.py", *options], text=True,
                                   env={**os.environ, "LOM_BUILD": str(build_dir)}, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        processes.append(process)
        return process

    yield start
    for process in processes:
        for pid in [*descendants(process.pid), process.pid] if process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        process.wait()


def leftovers():
    folders = [*pathlib.Path("/tmp").glob("openlom-*"), *pathlib.Path("/var/lib").glob("openlom-images-*")]
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if "openlom-" in line]
    return {*map(str, folders), *mounts}


def test_every_step_gives_what_it_should(tour):
    before = leftovers()
    process = tour("--tour-only")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "{0} ok boot rcdrom" in output
    assert "CD check: " in output and "all OK" in output
    assert leftovers() <= before


def test_it_stays_up_until_it_is_told_to_end(tour):
    before = leftovers()
    process = tour()
    for line in process.stdout:
        if "Ctrl-C ends it all." in line:
            break
    else:
        pytest.fail("the tour ended before it said how to log in")
    assert any("qemu-system" in pathlib.Path(f"/proc/{pid}/cmdline").read_text() for pid in all_below(process))
    started = all_below(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
    assert not [pid for pid in started if pathlib.Path(f"/proc/{pid}").exists()]
    assert leftovers() <= before


def all_below(process):
    return set(descendants(process.pid))
