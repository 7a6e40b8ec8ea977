"""What KVM can do on this machine, for tests that need it."""

import os

import pytest


def need_device():
    """Skips, with the reason, unless /dev/kvm can be opened. What it then runs is another matter:
    firmware and real-mode code work on any KVM, a 64-bit kernel needs a usable one."""
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as fault:
        pytest.skip(f"/dev/kvm cannot be opened: {fault.strerror}")
