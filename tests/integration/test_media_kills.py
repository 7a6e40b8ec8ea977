"""Seventy kills of the image's servers while whole images are read; tests/soak/media_kills does a thousand."""

import os
import pathlib
import subprocess

import pytest

from tests.support.lom_media import PROGRAM
from tests.support.sources import KINDS, Source

SOAK = pathlib.Path(__file__).resolve().parents[1] / "soak/media_kills"


@pytest.mark.skipif(not PROGRAM.exists() or not os.path.exists("/dev/fuse"), reason="lom-media or /dev/fuse is missing")
@pytest.mark.parametrize("kind", KINDS)
def test_kills(kind):
    kills = 25 if kind in ("ssh", "http") else 10
    if missing := Source.missing(kind):
        pytest.skip(missing)
    done = subprocess.run([SOAK, "--server", kind, "--kills", str(kills), "--mib", "8", "--readers", "2",
                           "--pause", "0.25", "--away", "0.2", "--whole", "0.5"],
                          capture_output=True, text=True, timeout=120, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kind}: {kills} kills" in done.stdout
