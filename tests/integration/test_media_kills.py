"""Fifty kills of the image's server while whole images are read; tests/soak/media_kills does a thousand."""

import os
import pathlib
import subprocess

import pytest

from tests.support import nginx, sshd
from tests.support.lom_media import PROGRAM

SOAK = pathlib.Path(__file__).resolve().parents[1] / "soak/media_kills"


@pytest.mark.skipif(bool(sshd.missing() or nginx.missing()), reason=sshd.missing() or nginx.missing() or "there")
@pytest.mark.skipif(not PROGRAM.exists() or not os.path.exists("/dev/fuse"), reason="lom-media or /dev/fuse is missing")
def test_fifty_kills(tmp_path):
    done = subprocess.run([SOAK, "--kills", "50", "--mib", "8", "--readers", "2", "--pause", "0.25", "--away", "0.2"],
                          capture_output=True, text=True, timeout=120, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("25 kills") == 2
