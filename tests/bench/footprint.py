#!/usr/bin/python3
"""Memory and idle CPU of our own processes, with the host off and on (QEMU is not ours).

    tests/bench/footprint.py [SECONDS]
"""

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.lomd import Lomd, wait_until  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def idle_share(pid, seconds):
    before = cpu_seconds(pid)
    time.sleep(seconds)  # the measurement itself
    return (cpu_seconds(pid) - before) / seconds


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    with Lomd() as sp:
        pid = sp.process.pid
        print(f"lomd, host off: {resident_mib(pid):.1f} MiB resident, {idle_share(pid, seconds) * 100:.2f} % CPU")
        sp.lom("start", "-script", "/SYS")
        wait_until(lambda: "Powered On" in sp.lom("show", "/HOST", "status").stdout, 10, "the host is on")
        print(f"lomd, host on:  {resident_mib(pid):.1f} MiB resident, {idle_share(pid, seconds) * 100:.2f} % CPU")
        sp.lom("stop", "-script", "-force", "/SYS")


main()
