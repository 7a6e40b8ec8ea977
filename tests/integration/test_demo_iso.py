"""The demo ISO and the other test ISOs boot from a USB CD in plain QEMU, by BIOS and by UEFI."""

import hashlib
import re
import subprocess
import time

import pexpect
import pytest

from support import isos
from support.bare_qemu import BareQemu

pytestmark = [pytest.mark.qemu, pytest.mark.material]

CHECKED = rb"CD check: (\d+) files, (\d+) bytes, all OK\r"
SHELL = rb"demo:[^ ]*# "


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_demo_linux_reads_its_cd_and_obeys(firmware, tmp_path, log_dir):
    with BareQemu(tmp_path, isos.demo(), firmware, log=log_dir / "console") as qemu:
        console = qemu.console
        console.expect(rb"Linux version")
        console.expect(rb"OpenLOM demo Linux")
        console.expect(rb"Volume id OPENLOM_DEMO")
        console.expect(CHECKED)
        assert int(console.match[1]) > 10 and int(console.match[2]) > 20e6
        console.expect(SHELL)
        console.sendline(b"reboot")
        console.expect(rb"Linux version")
        console.expect(CHECKED)
        console.expect(SHELL)
        qemu.qmp("system_powerdown")
        console.expect(b"Power button pressed: shutting down")
        console.expect(pexpect.EOF)


def test_demo_linux_finds_a_damaged_cd(tmp_path, log_dir):
    whole = isos.demo().read_bytes()
    # One byte in the middle of the largest file: past everything that takes part in booting.
    start = subprocess.run(["xorriso", "-indev", isos.demo(), "-find", "/files/16MiB", "-exec", "report_lba"],
                           check=True, capture_output=True, text=True).stdout
    block = int(re.search(r"File data lba:\s*\d+\s*,\s*(\d+)", start)[1])
    damaged = tmp_path / "damaged.iso"
    at = block * 2048 + (8 << 20)
    damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
    with BareQemu(tmp_path, damaged, log=log_dir / "console") as qemu:
        qemu.console.expect(rb"CD check: \./files/16MiB: FAILED")
        qemu.console.expect(rb"CD check: 1 of \d+ files FAILED")


def test_demo_linux_streams_byte_for_byte(tmp_path, log_dir):
    size = 300_000
    with BareQemu(tmp_path, isos.demo(), log=log_dir / "console") as qemu:
        console = qemu.console
        console.expect(SHELL)
        console.sendline(b"lomtest-stream %d 7" % size)
        console.expect(rb"BEGIN lomtest-stream \d+ 7\n")
        console.expect(rb"\nEND lomtest-stream sha256=([0-9a-f]{64})\n")
        stream = console.before
        assert len(stream) == size
        assert hashlib.sha256(stream).hexdigest().encode() == console.match[1]
        console.expect(SHELL)
        console.sendline(b"lomtest-receive 26")
        console.expect(b"READY lomtest-receive 26\r")
        console.send(b"abcdefghijklmnopqrstuvwxyz")
        console.expect(rb"RECEIVED lomtest-receive sha256=([0-9a-f]{64})")
        assert console.match[1].decode() == hashlib.sha256(b"abcdefghijklmnopqrstuvwxyz").hexdigest()


def test_hello_cd_greets_echoes_resets_and_powers_off(tmp_path, log_dir):
    with BareQemu(tmp_path, isos.hello(), memory=64, log=log_dir / "console") as qemu:
        console = qemu.console
        console.expect_exact(b"HELLO volume=LOMHELLO\r\n")
        console.expect_exact(b"READY\r\n")
        console.send(b"xyz")
        console.expect_exact(b"xyz")
        console.send(b"v")
        console.expect_exact(b"HELLO volume=LOMHELLO\r\n")
        console.send(b"r")
        console.expect_exact(b"READY\r\n")
        console.send(b"o")
        console.expect(pexpect.EOF)


def test_memtest_iso_boots(tmp_path):
    with BareQemu(tmp_path, isos.memtest(), memory=64) as qemu:
        deadline = time.monotonic() + 60
        while "Memtest86+" not in "".join(qemu.screen_text()):
            assert time.monotonic() < deadline, qemu.screen_text()
            time.sleep(0.1)


@pytest.mark.parametrize("iso, firmware, text", [
    (isos.ipxe, "bios", rb"iPXE initialising devices"),
    (isos.grub_rescue, "bios", rb"lom-grub-rescue"),
    (isos.grub_rescue, "uefi", rb"lom-grub-rescue"),
    (isos.debian_installer, "bios", rb"Select a language"),
])
def test_other_isos_boot(iso, firmware, text, tmp_path, log_dir):
    with BareQemu(tmp_path, iso(), firmware, memory=1024, log=log_dir / "console") as qemu:
        qemu.console.expect(text, timeout=120)
