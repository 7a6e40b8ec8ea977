#!/usr/bin/python3
"""Time from `start /SYS` at the prompt to the first byte on the host's serial port, against the same
QEMU with the same options started by hand; in turn, so that a machine that changes speed hits both.

    tests/bench/first_byte.py [ROUNDS]

Prints each median in milliseconds and the ratio of the pairs' medians (aim: at most 1.10).
"""

import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.lomd import BUILD, Lomd, wait_until  # noqa: E402


def first_byte(log, begin, limit=30):
    """Seconds from calling `begin` until the file `log` grows."""
    before = log.stat().st_size if log.exists() else 0
    started = time.monotonic()
    begin()
    while time.monotonic() - started < limit:
        if log.exists() and log.stat().st_size > before:
            return time.monotonic() - started
        time.sleep(0.0005)
    raise AssertionError(f"nothing on the serial port within {limit} s")


class Shell:
    """An open session of lom, so that its own start is not counted."""

    def __init__(self, sp):
        self._process = subprocess.Popen([BUILD / "lom", "--run-dir", sp.run_dir], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def type(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)


def by_hand(arguments, folder):
    """QEMU with lomd's own arguments, its sockets and files in another folder, running at once."""
    log = folder / "console.log"
    log.unlink(missing_ok=True)
    # Beside the log, QEMU wants what lomd makes for it: the pipe for the serial port's input.
    sockets = folder / "qemu"
    shutil.rmtree(sockets, ignore_errors=True)
    sockets.mkdir()
    for name, make in (("serial.in", lambda p: subprocess.run(["mkfifo", p], check=True)),
                       ("serial.out", lambda p: p.symlink_to("/dev/null"))):
        make(sockets / name)
    running = []

    def begin():
        running.append(subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL))
    try:
        return first_byte(log, begin)
    finally:
        running[0].send_signal(signal.SIGKILL)
        running[0].wait()


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with Lomd() as sp:
        state = sp.state_dir / "hosts" / "host0"
        run = sp.run_dir / "hosts" / "host0"
        pid_file = run / "qemu" / "pid"
        shell = Shell(sp)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="openlom-bench-"))
        ours, theirs = [], []
        try:
            shell.type("start -script /SYS")
            pid = wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10, "QEMU runs")
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
            arguments = [a.replace(str(state), str(folder)).replace(str(run), str(folder)) for a in arguments if a != "-S"]
            shutil.copy(state / "disk0.qcow2", folder)
            for _ in range(rounds):
                shell.type("stop -script -force /SYS")
                wait_until(lambda: "Powered Off" in sp.lom("show", "/HOST", "status").stdout, 10, "the host is off")
                theirs.append(by_hand(arguments, folder))
                ours.append(first_byte(state / "console.log", lambda: shell.type("start -script /SYS")))
            shell.type("stop -script -force /SYS")
            shell.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"first serial byte, median of {rounds}: "
          f"start /SYS {statistics.median(ours) * 1000:.0f} ms, QEMU by hand {statistics.median(theirs) * 1000:.0f} ms, "
          f"ratio {statistics.median(a / b for a, b in zip(ours, theirs)):.2f}")


main()
