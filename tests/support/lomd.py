"""A lomd of one's own, on loopback and free ports, with its folders in a temporary place.

    with Lomd() as sp:
        sp.lom("show", "/SP")            # the local shell: a CompletedProcess
        sp.ssh("show /SP")               # OpenSSH's client, one command
        sp.terminal()                    # a pexpect session at the prompt
"""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pexpect

BUILD = pathlib.Path(os.environ.get("LOM_BUILD", pathlib.Path(__file__).parents[2] / "build"))


def sanitized():
    """Whether the programs are a sanitizer's: it needs more memory, and no filter of system calls has its own."""
    program = (BUILD / "lomd").read_bytes()
    return b"__asan_init" in program or b"__tsan_init" in program
PASSWORD = "Correct-Horse-7"
PROMPT = "\r\n-> $"
SSH_OPTIONS = [
    "-F", "none",
    "-o", "StrictHostKeyChecking=no",
    "-o", "UserKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR",
    "-o", "PubkeyAuthentication=no",
    "-o", "ConnectTimeout=20",
]


def wait_until(condition, limit, what):
    """Polls `condition` until it gives something true, at most `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {limit} s: {what}")


class Lomd:
    """Use with `with`, or start() and stop() it oneself."""

    def __init__(self, options=(), password=PASSWORD, programs=None, **popen):
        """`programs` is what to run where it is not the build: {"lomd": PATH, "lom": PATH}."""
        self.options = list(options)
        self.programs = programs or {name: BUILD / name for name in ("lomd", "lom")}
        self.popen = popen
        self.password = password
        # Not under a folder of root's alone: lom-ssh runs as nobody.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="openlom-test-"))
        self.home.chmod(0o755)
        self.state_dir = self.home / "state"
        self.run_dir = self.home / "run"
        self.log = self.home / "lomd.log"
        self.process = None
        self.ports = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def missing():
        """What a test must skip for; empty: nothing."""
        for program in ("lomd", "lom", "lom-ssh"):
            if not (BUILD / program).exists():
                return f"{BUILD / program} is not built"
        return ""

    def start(self):
        self.state_dir.mkdir(exist_ok=True)
        self.run_dir.mkdir(exist_ok=True)
        ports_file = self.run_dir / "ports.json"
        ports_file.unlink(missing_ok=True)
        password_file = self.home / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs["lomd"], "--state-dir", self.state_dir, "--run-dir", self.run_dir,
                 "--listen", "127.0.0.1", "--ssh-port", str(self.ports.get("ssh", 0)),
                 "--https-port", str(self.ports.get("https", 0)),
                 "--initial-password-file", password_file, "--foreground", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.popen)

        def ready():
            assert self.process.poll() is None, f"lomd ended:\n{self.log.read_text()}"
            return ports_file.exists() and ports_file.stat().st_size > 0
        wait_until(ready, 20, "lomd opens its doors")
        self.ports = json.loads(ports_file.read_text())

    def stop(self):
        """A clean end; the hosts' QEMUs that lomd leaves running are ended too."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self._end_hosts()
        self._unmount_images()

    def kill9(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def _end_hosts(self):
        """Ends what outlives lomd: the processes whose arguments, or whose log, lie in our own folder."""
        mine = str(self.home).encode()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                arguments = (entry / "cmdline").read_bytes()
                program = os.readlink(entry / "exe")
                log = os.readlink(entry / "fd/2").encode()
            except OSError:
                continue
            if (mine in arguments or mine in log) and ("qemu" in program or "/lom" in program):
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def _unmount_images(self):
        """A killed lom-media leaves its mount behind, and the folder could not be removed."""
        for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
            where = line.split()[1]
            if where.startswith(f"{self.run_dir}/"):
                subprocess.run(["umount", "-l", where], check=False)

    # -- doors

    def lom(self, *words, input=None, timeout=60):
        return subprocess.run([self.programs["lom"], "--run-dir", self.run_dir, *words], input=input,
                              stdin=None if input is not None else subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)

    def ssh_arguments(self, *words, user="root", options=()):
        return ["ssh", *SSH_OPTIONS, *options, "-p", str(self.ports["ssh"]), f"{user}@127.0.0.1",
                *words]

    def ssh_with_key(self, key, *words, user="root", options=()):
        """With a private key alone."""
        arguments = self.ssh_arguments(*words, user=user, options=[
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", str(key), *options])
        arguments = ["PubkeyAuthentication=yes" if word == "PubkeyAuthentication=no" else word
                     for word in arguments]
        return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=30)

    def ssh_environment(self, password=None):
        """OpenSSH asks this program for the password."""
        helper = self.home / "askpass"
        if not helper.exists():
            helper.write_text('#!/bin/sh\nprintf "%s\\n" "$OPENLOM_TEST_PASSWORD"\n')
            helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
        return {**os.environ, "SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force",
                "OPENLOM_TEST_PASSWORD": password or self.password}

    def ssh(self, *words, input=None, timeout=60, user="root", password=None, options=()):
        return subprocess.run(self.ssh_arguments(*words, user=user, options=options), input=input,
                              stdin=None if input is not None else subprocess.DEVNULL,
                              env=self.ssh_environment(password), capture_output=True, text=True,
                              timeout=timeout)

    def put_image(self, path, name=""):
        """Into the library, by scp."""
        done = subprocess.run(["scp", *SSH_OPTIONS, "-P", str(self.ports["ssh"]), str(path), f"root@127.0.0.1:{name}"],
                              env=self.ssh_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done

    def ssh_popen(self, *words, options=(), **more):
        return subprocess.Popen(self.ssh_arguments(*words, options=options),
                                env=self.ssh_environment(), **more)

    def terminal(self, *words, options=(), size=(40, 120), timeout=20):
        """A person with OpenSSH's client in a terminal, logged in and at the prompt."""
        arguments = self.ssh_arguments(*words, options=["-tt", *options])
        person = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=timeout,
                               dimensions=size)
        person.delaybeforesend = None
        person.expect("Password: ")
        person.sendline(self.password)
        if not words:
            person.expect(PROMPT)
        return person
