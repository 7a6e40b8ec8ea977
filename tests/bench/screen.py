#!/usr/bin/env python3
"""The screen through lom-kvm against QEMU's own VNC, with the same viewer on the same guest.

    LOM_BUILD=build tests/bench/screen.py [keys] [seconds]

Prints milliseconds from a key press to the changed picture (taken in turns, so that both see the
same machine), and pictures a second with processor time a picture while everything changes. While
QEMU's own VNC is measured, lom-kvm is held (SIGSTOP); its own work counts in the other case.
"""

import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.support import isos  # noqa: E402
from tests.support.guest import must, qemu_pid  # noqa: E402
from tests.support.lomd import Lomd, wait_until  # noqa: E402
from tests.support.rfb import DESKTOP_SIZE, RAW, ZRLE, Control, Viewer  # noqa: E402

F1, F4 = 0xffbe, 0xffc1


def direct(sp, encodings):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(sp.run_dir / "hosts/host0/qemu/vnc.sock"))
    return Viewer(connection, encodings)


def through_lom_kvm(sp, encodings):
    control = Control(sp)
    viewer = Viewer(control.start_screen(force=True), encodings)
    viewer.control = control  # the viewer ends with its session
    return viewer


def settle(viewer):
    """Until nothing came for a moment."""
    last = [viewer.updates, time.monotonic()]

    def quiet():
        if viewer.updates != last[0]:
            last[:] = [viewer.updates, time.monotonic()]
        return time.monotonic() - last[1] > 0.1
    viewer.wait(quiet, 5, "quiet")


def latency(viewer):
    settle(viewer)
    time.sleep(random.uniform(0, 0.05))
    before, begun = viewer.updates, time.monotonic()
    viewer.press(ord("x"))
    viewer.wait(lambda: viewer.updates > before, 5, "an echo")
    return 1000 * (time.monotonic() - begun)


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def film(viewer, pids, seconds):
    """Pictures a second, processor seconds a picture."""
    begun, seen, used = time.monotonic(), viewer.updates, sum(map(processor_time, pids))
    viewer.wait(lambda: time.monotonic() - begun >= seconds, seconds + 5, "time")
    pictures = viewer.updates - seen
    return pictures / seconds, (sum(map(processor_time, pids)) - used) / max(pictures, 1)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main():
    keys = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    with Lomd() as sp:
        disk = next((sp.state_dir / "hosts/host0").glob("disk0*"))
        subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2",
                        isos.screen_guest(), disk], check=True)
        must(sp, "start -script /SYS")
        wait_until(lambda: "SCREEN READY" in sp.lom("show /HOST/screen").stdout, 60, "the guest")
        lom_kvm = next(int(name) for name in os.listdir("/proc") if name.isdigit() and
                       f'"pid":{name},' in (sp.state_dir / "hosts/host0/screen.json").read_text())
        qemu = qemu_pid(sp)

        times = {"qemu": [], "lom-kvm": []}
        viewers = {"qemu": direct(sp, (RAW, DESKTOP_SIZE)),
                   "lom-kvm": through_lom_kvm(sp, (RAW, DESKTOP_SIZE))}
        for number in range(keys):
            for name, viewer in viewers.items():
                settle(viewers["qemu" if name == "lom-kvm" else "lom-kvm"])
                times[name].append(latency(viewer))
            if number % 20 == 19:
                viewers["qemu"].press(F1)
        for name, values in times.items():
            print(f"key to picture, {name}: median {statistics.median(values):.1f} ms, "
                  f"p99 {percentile(values, 0.99):.1f} ms")
        print(f"ratio: median {statistics.median(times['lom-kvm']) / statistics.median(times['qemu']):.2f}, "
              f"p99 {percentile(times['lom-kvm'], 0.99) / percentile(times['qemu'], 0.99):.2f}")
        for viewer in viewers.values():
            viewer.close()

        for label, encoding in (("raw", RAW), ("zrle", ZRLE)):
            must(sp, "set /HOST/screen send_keys=f4")
            os.kill(lom_kvm, signal.SIGSTOP)
            viewer = direct(sp, (encoding, DESKTOP_SIZE))
            own = film(viewer, [qemu], seconds)
            viewer.close()
            os.kill(lom_kvm, signal.SIGCONT)
            viewer = through_lom_kvm(sp, (encoding, DESKTOP_SIZE))
            ours = film(viewer, [qemu, lom_kvm], seconds)
            viewer.close()
            must(sp, "set /HOST/screen send_keys=f1")
            for name, (rate, cost) in (("qemu", own), ("lom-kvm", ours)):
                print(f"film, {label}, {name}: {rate:.1f} pictures/s, {1000 * cost:.2f} ms processor each")
            print(f"ratio: pictures {ours[0] / own[0]:.2f}, processor {ours[1] / own[1]:.2f}")


if __name__ == "__main__":
    main()
