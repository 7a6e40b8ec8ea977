#!/usr/bin/python3
"""lom-media against `ssh cat` and sshfs: the same server, cipher and machine, all contenders in turn.

    LOM_BUILD=build tests/bench/media.py [--runs 5] [--scale 1.0] [--only WORD ...]

Prints a table with what was measured, the bound, and whether it holds. `--scale` shortens the
sequential files, `--only` takes the workloads whose name contains a WORD. The server is a real
sshd on loopback; delay_proxy makes the round trip. Logins are not measured: mounts stand before
the clock runs, and `ssh cat` runs through a connection that is already there. The boot is replayed
as it was recorded from QEMU: one read at a time, no time to think, page cache of the client cold.
"""

import argparse
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import isos  # noqa: E402
from lom_media import BUILD, LomMedia, mounted  # noqa: E402
from sshd import Sshd, wait_for  # noqa: E402

CIPHER = "aes128-gcm@openssh.com"
MIB = 1 << 20
HUNDRED_MBIT = 12_500_000
TICKS = os.sysconf("SC_CLK_TCK")


class Line:
    """The way to the server: direct, or through a delay_proxy."""

    def __init__(self, server, milliseconds=0, rate=0):
        self.port, self._proxy = server.port, None
        if milliseconds or rate:
            self._proxy = subprocess.Popen(
                [BUILD / "delay_proxy", str(server.port), str(milliseconds), str(rate)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.port = int(self._proxy.stdout.readline())

    def close(self):
        if self._proxy:
            self._proxy.communicate()


# Contenders: each opens one file of the server. `path` is where it can be read, `processes` whose
# processor time counts.


class SshCat:
    name = "ssh cat"

    def __init__(self, bench, line, remote, **_):
        self.folder = tempfile.mkdtemp(dir=bench.work)
        self.socket = f"{self.folder}/master"
        self.base = ["ssh", "-F", str(bench.config), "-p", str(line.port), "-S", self.socket]
        self.remote, self.bench_config = remote, bench.config
        self.master = subprocess.Popen([*self.base, "-M", "-N", "bench"],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.socket), 20, "ssh is connected")
        subprocess.run([*self.base, "bench", "true"], check=True)

    def read_all(self):
        subprocess.run([*self.base, "bench", f"cat {self.remote}"], stdout=subprocess.DEVNULL, check=True)

    def close(self):
        self.master.kill()  # it may not heed anything less while it writes
        self.master.wait()


class SftpGet(SshCat):
    """OpenSSH's own client with lom-media's request size: what SFTP costs where nobody mounts."""
    name = "sftp get"

    def read_all(self):
        subprocess.run(["sftp", "-q", "-F", str(self.bench_config), "-B", str(128 << 10), "-R", "128", "-o",
                        f"ControlPath={self.socket}", f"bench:{self.remote}", "/dev/null"],
                       stdin=subprocess.DEVNULL, check=True)


class Mounted:
    path = None

    def read_all(self):
        buffer = bytearray(MIB)
        with open(self.path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    def replay(self, reads):
        with open(self.path, "rb", buffering=0) as file:
            for offset, size in reads:
                assert len(os.pread(file.fileno(), size, offset)) == size

    def cpu_seconds(self):
        total = 0
        for pid in self.processes():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS


def ssh_clients(bench):
    """Processes of OpenSSH's client with the bench's settings."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and words[0] == b"ssh" and any(str(bench.config).encode() in word for word in words):
            found.add(int(entry.name))
    return found


class Sshfs(Mounted):
    name = "sshfs"

    def __init__(self, bench, line, remote, **_):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=bench.work))
        parent, base = os.path.split(remote)
        before = ssh_clients(bench)
        self.path = self.folder / base
        self.process = subprocess.Popen(
            ["sshfs", "-f", "-F", str(bench.config), "-p", str(line.port), f"bench:{parent}",
             str(self.folder), "-o", "ro,kernel_cache,compression=no"], stdin=subprocess.DEVNULL,
            start_new_session=True)  # as it does itself without -f
        wait_for(lambda: mounted(self.folder), 20, "sshfs has mounted")
        os.stat(self.path)
        self.ssh = ssh_clients(bench) - before

    def processes(self):
        """Its own and its ssh's, which it has sent away."""
        return [self.process.pid, *self.ssh]

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.process.wait()


class Lom(Mounted):
    name = "lom-media"

    def __init__(self, bench, line, remote, options=()):
        folder = tempfile.mkdtemp(dir=bench.work)
        server = bench.server
        uri = f"sshfs://{server.user}@127.0.0.1:{line.port}:{remote}"
        self.media = LomMedia(folder, uri, server.credentials(password=False, key=True),
                              options=[*bench.options, *options], new_session=True).wait_ready()
        self.path = self.media.file

    def processes(self):
        return [self.media.process.pid]

    def memory(self):
        """The most it ever had, in bytes."""
        text = pathlib.Path(f"/proc/{self.media.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1]) << 10

    def bytes_fetched(self):
        control = self.media.connect_control()
        time.sleep(1.2)  # it reports once a second
        control.wait(lambda report: True)
        last = control.reports[-1]
        control.close()
        return last["bytes_read"]

    def close(self):
        self.media.close()


class Bench:
    def __init__(self, arguments):
        self.runs, self.scale, self.only = arguments.runs, arguments.scale, arguments.only
        self.options = arguments.option
        self.verbose = arguments.verbose
        self.rows = []

    def __enter__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="lom-bench-"))
        self.server = Sshd(self.work, options=["MaxSessions 100"]).start()
        self.config = self.work / "ssh_config"
        self.config.write_text(
            f"Host bench\n HostName 127.0.0.1\n User {self.server.user}\n"
            f" IdentityFile {self.server.private_key}\n IdentitiesOnly yes\n Ciphers {CIPHER}\n"
            " StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n Compression no\n")
        return self

    def __exit__(self, *_):
        self.server.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def file(self, size):
        """Random bytes on the server, in its page cache."""
        path = self.server.home / f"{size >> 20}.iso"
        if not path.exists():
            with open(path, "wb") as file:
                for _ in range(size >> 20):
                    file.write(os.urandom(MIB))
        path.chmod(0o644)
        return str(path)

    def put(self, source):
        path = self.server.home / source.name
        if not path.exists():
            shutil.copy(source, path)
        path.chmod(0o644)
        return str(path)

    def wanted(self, name):
        return not self.only or any(word in name for word in self.only)

    def compare(self, contenders, line, remote, work, runs=None, **options):
        """Seconds of each contender by name (medians, in turns)."""
        took = {contender.name: [] for contender in contenders}
        for _ in range(runs or self.runs):
            for contender in contenders:
                opened = contender(self, line, remote, **options)
                try:
                    begun = time.perf_counter()
                    work(opened)
                    took[contender.name].append(time.perf_counter() - begun)
                finally:
                    opened.close()
        if self.verbose:
            print("   ", {name: [round(s, 2) for s in seconds] for name, seconds in took.items()},
                  flush=True)
        return {name: statistics.median(seconds) for name, seconds in took.items()}

    def row(self, workload, against, measured, bound, holds, note=""):
        word = {True: "yes", False: "**no**", None: ""}[holds]  # None: no bound
        self.rows.append((workload, against, measured, bound, word, note))
        print(" | ".join(str(cell) for cell in self.rows[-1]), flush=True)

    def at_least(self, workload, against, ratio, bound, note=""):
        self.row(workload, against, f"{ratio:.2f} times", f"at least {bound}", ratio >= bound, note)

    def at_most(self, workload, against, ratio, bound, note=""):
        self.row(workload, against, f"{ratio:.2f} times", f"at most {bound}", ratio <= bound, note)

    def print_table(self):
        print("\n| workload | against | measured | bound | holds | |\n|---|---|---|---|---|---|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


# Workloads


def sequential(bench, milliseconds, megabytes, cat_bound, sshfs_bound, sshfs_megabytes):
    name = f"sequential, {megabytes} MiB, {milliseconds} ms"
    if not bench.wanted(name):
        return
    line = Line(bench.server, milliseconds)
    size = max(8, int(megabytes * bench.scale))
    file = bench.file(size * MIB)
    limit = [] if milliseconds else [SftpGet]
    took = bench.compare([SshCat, Lom, *limit], line, file, lambda opened: opened.read_all())
    # sshfs's rate does not depend on the size at a distance, only its time does.
    small = min(size, sshfs_megabytes)
    slow = bench.compare([Sshfs] + ([Lom] if small == size else []), line, bench.file(small * MIB),
                         lambda opened: opened.read_all(), None if milliseconds < 50 else 1)
    line.close()
    ours = size / statistics.median([took["lom-media"], slow.get("lom-media", took["lom-media"])])
    bench.at_least(name, "ssh cat", ours / (size / took["ssh cat"]), cat_bound,
                   f"{ours:.0f} and {size / took['ssh cat']:.0f} MiB/s")
    if limit:
        bench.row("`sftp get`, the same file", "ssh cat", f"{took['ssh cat'] / took['sftp get']:.2f} times",
                  "", None, f"{size / took['sftp get']:.0f} MiB/s")
    bench.at_least(name, "sshfs", ours / (small / slow["sshfs"]), sshfs_bound,
                   f"{small / slow['sshfs']:.0f} MiB/s")


def cost(bench, megabytes):
    """Processor time and memory of one sequential read."""
    name = "processor time and memory"
    if not bench.wanted(name):
        return
    line = Line(bench.server)
    size = max(8, int(megabytes * bench.scale))
    file = bench.file(size * MIB)
    seconds, memory = {"sshfs": [], "lom-media": []}, []
    for _ in range(bench.runs):
        for contender in (Sshfs, Lom):
            opened = contender(bench, line, file)
            before = opened.cpu_seconds()
            opened.read_all()
            seconds[contender.name].append((opened.cpu_seconds() - before) * 1024 / size)
            if contender is Lom:
                memory.append(opened.memory())
            opened.close()
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    bench.at_most("processor seconds per GiB", "sshfs and its ssh", medians["lom-media"] / medians["sshfs"],
                  1.0, f"{medians['lom-media']:.2f} and {medians['sshfs']:.2f} s")
    cache = 64 * MIB
    opened = Lom(bench, line, file, options=["--cache-size", str(cache)])
    opened.read_all()
    for _ in range(4):
        random_reads(opened, 500, size * MIB, [])
    over = (max(opened.memory(), 0) - cache) / MIB
    opened.close()
    line.close()
    bench.row("memory of one lom-media", "cache bound", f"{over:+.0f} MiB", "at most +24 MiB", over <= 24)


def guest(image):
    """Command of a guest that boots a live CD and powers off."""
    return ["timeout", "300", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine",
            "q35,graphics=off", "-accel", "tcg", "-m", "1024", "-display", "none",
            "-device", "qemu-xhci,id=usb", "-device", "usb-bot,id=bot,bus=usb.0", "-blockdev",
            f"driver=file,node-name=iso,filename={image},read-only=on", "-device",
            "scsi-cd,id=cd,bus=bot.0,drive=iso,bootindex=1"]


def recorded_boot():
    """(ISO, [(offset, size)]): what QEMU reads while a live CD boots."""
    iso = isos.live()
    trace = iso.with_suffix(".reads")
    if not trace.exists() or trace.stat().st_mtime < iso.stat().st_mtime:
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            subprocess.run([*guest(iso), "-serial", "null", "-trace", "blk_co_preadv", "-D", log],
                           check=True, stdin=subprocess.DEVNULL)
            found = re.findall(r"blk_co_preadv .* offset (\d+) bytes (\d+)", log.read_text())
            trace.write_text("\n".join(" ".join(pair) for pair in found))
    reads = [tuple(map(int, line.split())) for line in trace.read_text().splitlines()]
    size = iso.stat().st_size
    return iso, [(offset, count) for offset, count in reads if offset + count <= size]


def distinct(reads):
    """Bytes read at least once."""
    total, reached = 0, 0
    for offset, size in sorted(reads):
        total += max(0, offset + size - max(offset, reached))
        reached = max(reached, offset + size)
    return total


def boot(bench, milliseconds, bound, rate=0):
    name = f"reads of a boot, {milliseconds} ms" + (" and 100 Mbit/s" if rate else "")
    if not bench.wanted(name):
        return
    iso, reads = recorded_boot()
    remote = bench.put(iso)
    line = Line(bench.server, milliseconds, rate)
    fetched = []

    def work(opened):
        opened.replay(reads)
        if rate and isinstance(opened, Lom):
            fetched.append(opened)

    few = 1 if milliseconds >= 50 else None
    sshfs = bench.compare([Sshfs], line, remote, work, few)["sshfs"] if few else None
    if rate:
        took, over = [], []
        for _ in range(max(1, bench.runs // 2)):
            opened = Lom(bench, line, remote)
            begun = time.perf_counter()
            opened.replay(reads)
            took.append(time.perf_counter() - begun)
            over.append(opened.bytes_fetched())
            opened.close()
        ours = {"lom-media": statistics.median(took)}
        ratio = statistics.median(over) / distinct(reads)
        bench.at_most(name, "bytes read", ratio, 1.4, "bytes fetched from the server")
    else:
        ours = bench.compare([Sshfs, Lom] if not few else [Lom], line, remote, work)
    sshfs = sshfs or ours["sshfs"]
    line.close()
    bench.at_least(name, "sshfs", sshfs / ours["lom-media"], bound,
                   f"{ours['lom-media']:.2f} and {sshfs:.2f} s; {len(reads)} reads, "
                   f"{sum(size for _, size in reads) / 1e6:.0f} MB")


def warm_boot(bench):
    name = "reads of a boot again, 50 ms"
    if not bench.wanted(name):
        return
    iso, reads = recorded_boot()
    line = Line(bench.server, 50)
    opened = Lom(bench, line, bench.put(iso))
    opened.replay(reads)
    iso.read_bytes()
    warm, local = [], []
    for _ in range(bench.runs):
        for path, took in ((opened.path, warm), (iso, local)):
            begun = time.perf_counter()
            with open(path, "rb", buffering=0) as file:
                for offset, size in reads:
                    os.pread(file.fileno(), size, offset)
            took.append(time.perf_counter() - begun)
    opened.close()
    line.close()
    ratio = statistics.median(warm) / statistics.median(local)
    bench.at_most(name, "local file", ratio, 3,
                  f"{statistics.median(warm) * 1000:.0f} and {statistics.median(local) * 1000:.0f} ms")


def boot_seconds(image):
    """From QEMU's start until the live system has done what it does and says so."""
    begun = time.perf_counter()
    process = subprocess.Popen([*guest(image), "-serial", "stdio"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    done = next((time.perf_counter() for line in process.stdout if b"live done" in line), None)
    process.communicate()
    assert done, "the guest did not boot"
    return done - begun


def guest_boot(bench, milliseconds):
    name = f"guest boot under QEMU, {milliseconds} ms"
    if not bench.wanted(name):
        return
    iso = isos.live()
    iso.read_bytes()
    line = Line(bench.server, milliseconds)
    remote, local = [], []
    for _ in range(max(1, bench.runs // 2)):
        local.append(boot_seconds(iso))
        opened = Lom(bench, line, bench.put(iso))
        remote.append(boot_seconds(opened.path))
        opened.close()
    line.close()
    ratio = statistics.median(remote) / statistics.median(local)
    bench.at_most(name, "local file", ratio, 1.3,
                  f"{statistics.median(remote):.1f} and {statistics.median(local):.1f} s")


def random_reads(opened, count, size, took):
    chooser = random.Random(id(opened))
    with open(opened.path, "rb", buffering=0) as file:
        for _ in range(count):
            offset = chooser.randrange(size // 4096) * 4096
            begun = time.perf_counter()
            os.pread(file.fileno(), 4096, offset)
            took.append(time.perf_counter() - begun)


READER = """
import os, random, sys, time
path, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chooser, took = random.Random(path), []
sys.stdin.readline()
with open(path, "rb", buffering=0) as file:
    for _ in range(count):
        offset = chooser.randrange(size // 4096) * 4096
        begun = time.perf_counter()
        os.pread(file.fileno(), 4096, offset)
        took.append(time.perf_counter() - begun)
print(*took)
"""


def read_all_at_once(paths, size, reads):
    """Seconds of every read. Each reader has a session of its own, as QEMU has: schedulers that group by
    session would else give all of them together what one server process gets."""
    readers = [subprocess.Popen([sys.executable, "-c", READER, path, str(size), str(reads)], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
               for path in paths]
    for reader in readers:
        reader.stdin.write("go\n")
        reader.stdin.flush()
    return sorted(float(word) for reader in readers for word in reader.communicate()[0].split())


def many(bench, images=32, reads=100):
    name = "32 images at once, random 4 KiB"
    if not bench.wanted(name):
        return
    line = Line(bench.server)
    size = max(64, int(256 * bench.scale)) * MIB
    file = bench.file(size)
    worst = {"sshfs": [], "lom-media": []}
    middle = {"sshfs": [], "lom-media": []}
    for _ in range(bench.runs):
        for contender in (Sshfs, Lom):
            opened = []
            try:
                while len(opened) < images:
                    opened.append(contender(bench, line, file))
                took = read_all_at_once([one.path for one in opened], size, reads)
            finally:
                for one in opened:
                    one.close()
            worst[contender.name].append(took[len(took) * 99 // 100])
            middle[contender.name].append(took[len(took) // 2])
    line.close()
    p99 = {key: statistics.median(values) * 1000 for key, values in worst.items()}
    p50 = {key: statistics.median(values) * 1000 for key, values in middle.items()}
    bench.at_most(name, "sshfs, p99", p99["lom-media"] / p99["sshfs"], 1.0,
                  f"p50/p99: {p50['lom-media']:.1f}/{p99['lom-media']:.1f} and "
                  f"{p50['sshfs']:.1f}/{p99['sshfs']:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--option", action="append", default=[], help="for lom-media")
    parser.add_argument("--verbose", action="store_true")
    with Bench(parser.parse_args()) as bench:
        print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
        sequential(bench, 0, 1024, 0.75, 1.5, 1024)
        sequential(bench, 10, 256, 2, 12, 64)
        sequential(bench, 50, 256, 6, 40, 16)
        boot(bench, 0, 1.0)
        boot(bench, 10, 6)
        boot(bench, 50, 13)
        boot(bench, 50, 2.5, HUNDRED_MBIT)
        warm_boot(bench)
        guest_boot(bench, 50)
        cost(bench, 1024)
        many(bench)
        bench.print_table()


main()
