#!/usr/bin/python3
"""Logging in to the service processor beside OpenSSH: the same client, key and algorithms.

    tests/bench/ssh_login.py [ROUNDS]

Times, in ms: `ssh host true` of OpenSSH; `ssh sp 'show /SP'`; a login until the prompt is there.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import pexpect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.lomd import Lomd  # noqa: E402
from support.sshd import Sshd, missing  # noqa: E402

ALGORITHMS = ["-o", "KexAlgorithms=curve25519-sha256", "-o", "Ciphers=aes256-gcm@openssh.com",
              "-o", "HostKeyAlgorithms=ssh-ed25519"]


def arguments(key, port, user, *words):
    return ["ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", *ALGORITHMS, "-i", str(key), "-p", str(port),
            f"{user}@127.0.0.1", *words]


def command(words):
    begin = time.perf_counter()
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def prompt(words):
    begin = time.perf_counter()
    person = pexpect.spawn(words[0], words[1:], timeout=20)
    person.expect_exact(b"-> ")
    taken = time.perf_counter() - begin
    person.close(force=True)
    return taken


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    if missing():
        sys.exit(missing())
    with tempfile.TemporaryDirectory() as folder, Sshd(folder) as server, Lomd() as sp:
        key = server.private_key
        line = pathlib.Path(f"{key}.pub").read_text().strip()
        sp.lom("set", "/SP/users/root/ssh/keys/1", f'publickey="{line}"')
        theirs = arguments(key, server.port, server.user, "true")
        ours = arguments(key, sp.ports["ssh"], "root", "show /SP")
        shell = arguments(key, sp.ports["ssh"], "root")
        times = {"ssh host true": [], "ssh sp 'show /SP'": [], "login to prompt": []}
        for _ in range(rounds):  # by turns, so that the machine's moods hit all
            times["ssh host true"].append(command(theirs))
            times["ssh sp 'show /SP'"].append(command(ours))
            times["login to prompt"].append(prompt(shell))
        base = statistics.median(times["ssh host true"])
        for name, taken in times.items():
            median = statistics.median(taken)
            print(f"{name:18} median {median * 1000:6.1f} ms  ratio {median / base:.2f}")


main()
