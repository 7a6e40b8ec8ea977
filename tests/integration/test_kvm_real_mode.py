"""A real-mode CD boots under KVM, wherever /dev/kvm opens; and the probe's verdict is true."""

import subprocess
import time

import pytest

from support import isos, kvm
from support.bare_qemu import BareQemu

pytestmark = pytest.mark.qemu


def probe(build_dir):
    """kvm-probe's answer: its first words, and the rest."""
    done = subprocess.run([build_dir / "tests" / "kvm-probe"], capture_output=True, text=True, timeout=20,
                          check=False)
    verdict, _, reason = done.stdout.partition(": ")
    assert verdict in ("usable", "real mode only", "not usable"), done.stdout
    assert done.returncode == (0 if verdict == "usable" else 1)
    return verdict, reason


def test_real_mode_cd_boots_under_kvm(tmp_path, log_dir):
    kvm.need_device()
    # A KVM that emulates every instruction needs some seconds for the firmware alone.
    with BareQemu(tmp_path, isos.hello(), memory=64, accel="kvm", log=log_dir / "console") as qemu:
        assert qemu.qmp("query-kvm")["enabled"]
        qemu.console.expect_exact(b"HELLO volume=LOMHELLO\r\n")
        qemu.console.expect_exact(b"READY\r\n")
        wait_until_halted(qemu)
        qemu.console.send(b"k")
        qemu.console.expect_exact(b"k")
        wait_until_halted(qemu)
        qemu.console.send(b"r")  # again after a reset
        qemu.console.expect_exact(b"READY\r\n")


def test_linux_boots_where_the_probe_says_usable(build_dir, tmp_path, log_dir):
    kvm.need_device()
    verdict, reason = probe(build_dir)
    if verdict != "usable":
        pytest.skip(f"KVM cannot run Linux here: {reason.strip()}")
    with BareQemu(tmp_path, isos.demo(), accel="kvm", log=log_dir / "console") as qemu:
        qemu.console.expect(rb"OpenLOM demo Linux", timeout=120)


def test_probe_explains_itself(build_dir):
    verdict, reason = probe(build_dir)
    assert "/dev/kvm" in reason
    if verdict != "usable":
        assert reason.count(".") >= 2, "a reason and a remedy"


def wait_until_halted(qemu, seconds=20):
    """Until the guest sleeps. Some KVMs let an interrupt in between sti and hlt: a byte sent while the
    guest goes to sleep would not wake it."""
    deadline = time.monotonic() + seconds
    while "HLT=1" not in qemu.qmp("human-monitor-command", **{"command-line": "info registers"}):
        assert time.monotonic() < deadline, "the guest does not come to rest"
        time.sleep(0.02)
