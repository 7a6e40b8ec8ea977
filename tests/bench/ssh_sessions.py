#!/usr/bin/python3
"""Many SSH sessions at once: memory of idle ones, and the time of a command in busy ones.

    tests/bench/ssh_sessions.py [SESSIONS] [SECONDS]

Each session is an OpenSSH client with a terminal of its own; each runs `show -level all /SP` ten
times, spread over SECONDS (0: one right after the other, which measures throughput). Memory is PSS
of the lom-ssh and lom processes that serve them.
"""

import os
import pathlib
import random
import selectors
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.lomd import Lomd, wait_until  # noqa: E402

COMMAND = b"show -script -level all /SP\n"
ROUNDS = 10


def pss_kib(sp):
    total = 0
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() in ("lom", "lom-ssh") \
                    and os.readlink(entry / "cwd") == str(sp.run_dir):
                line = next(line for line in (entry / "smaps_rollup").read_text().splitlines()
                            if line.startswith("Pss:"))
                total += int(line.split()[1])
        except OSError:
            continue
    return total


class Client:
    def __init__(self, arguments):
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.tail = b""
        self.asked = None
        self.due = []
        self.size = 0

    def ask(self):
        self.asked = time.perf_counter()
        self.size = 0
        os.write(self.process.stdin.fileno(), COMMAND)

    def at_prompt(self):
        """Reads; whether the prompt has come."""
        data = self.process.stdout.read()
        if data == b"":
            sys.exit("a session was refused or cut")
        self.size += len(data or b"")
        self.tail = (self.tail + (data or b""))[-8:]
        return self.tail.endswith(b"\n-> ")


def main():
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder, Lomd() as sp:
        key = pathlib.Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        line = pathlib.Path(f"{key}.pub").read_text().strip()
        sp.lom("set", "/SP/users/root/ssh/keys/1", f'publickey="{line}"')
        arguments = ["PubkeyAuthentication=yes" if word == "PubkeyAuthentication=no" else word
                     for word in sp.ssh_arguments(options=["-tt", "-i", str(key), "-o",
                                                           "ConnectTimeout=120"])]
        begin = time.perf_counter()
        clients = [Client(arguments) for _ in range(sessions)]
        poll = selectors.DefaultSelector()
        for client in clients:
            poll.register(client.process.stdout, selectors.EVENT_READ, client)
        waiting = set(clients)
        while waiting:
            for event, _ in poll.select(60):
                if event.data.at_prompt():
                    waiting.discard(event.data)
        print(f"{sessions} logins at once: {time.perf_counter() - begin:.1f} s")
        time.sleep(2)  # idle sessions are what is measured
        print(f"memory of an idle session: {pss_kib(sp) / sessions:.0f} KiB PSS, lom-ssh and lom")

        start = time.perf_counter()
        queue = sorted((start + random.uniform(0, seconds), index, clients[index])
                       for index in range(sessions) for _ in range(ROUNDS))
        due = {client: [] for client in clients}
        for moment, _, client in queue:
            due[client].append(moment)
        took, done = [], 0
        while done < sessions * ROUNDS:
            now = time.perf_counter()
            for client, moments in due.items():
                if moments and client.asked is None and (seconds == 0 or moments[0] <= now):
                    moments.pop(0)
                    client.ask()
            for event, _ in poll.select(0.005):
                client = event.data
                if client.at_prompt() and client.asked and client.size > 1000:
                    took.append(time.perf_counter() - client.asked)
                    client.asked = None
                    done += 1
        took.sort()
        print(f"{done} commands of {clients[0].size // 1024} KiB in {time.perf_counter() - start:.1f} s: "
              f"median {statistics.median(took) * 1000:.1f} ms, "
              f"p99 {took[int(len(took) * 0.99)] * 1000:.1f} ms, worst {took[-1] * 1000:.1f} ms")
        for client in clients:
            client.process.kill()
            client.process.wait()
        wait_until(lambda: pss_kib(sp) < 20_000, 30, "the sessions are gone")


main()
