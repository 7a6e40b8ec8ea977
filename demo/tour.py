"""Starts lomd and an image server on loopback, plays the tour with OpenSSH's client, stays up.

Called by ./run, as root. Everything is shown as it happens: what is typed, what is answered, the
guest's own boot text. Logs of all parts are in build/run-logs. Ends with status 1 and the name of
the step if one failed; ends everything it started, however it ends.
"""

import argparse
import contextlib
import ctypes
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pexpect

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
from support.image_server import ImageServer, descendants  # noqa: E402

BUILD = pathlib.Path(os.environ.get("LOM_BUILD", REPOSITORY / "build"))
DEMO_ISO = REPOSITORY / "build" / "demo.iso"
LOGS = BUILD / "run-logs"
PR_SET_CHILD_SUBREAPER = 36

STORAGE = "/SP/services/kvms/host_storage_device"
PROMPT = rb"\n\r*(?:\x1b\[[0-9;?]*[A-Za-z])*-> "
OK_PROMPT = rb"\{0\} ok "


class StepFailed(Exception):
    pass


class LiveText:
    """Shows a session on our terminal without the control sequences, which would clear or recolour
    it, and keeps all of it in a file. A prompt is shown when something is typed at it, so that the
    heading of a step stands above the prompt, not behind it."""

    CONTROL = re.compile(rb"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>78cDEHMNOZ])|[\x00\x07\x08\x0f]")
    HELD = re.compile(rb"(?:\x1b(?:\[[0-9;?=]*|[()])?|(?<=\n)(?:-> |\{0\} ok ))\Z")

    def __init__(self, transcript, shown):
        self._transcript = transcript
        self._shown = shown
        self._held = b""

    def write(self, data):
        self._transcript.write(data)
        data = self._held + data
        # A lone \r before a prompt is an editor's; the text is shown line by line.
        data = self.CONTROL.sub(b"", data).replace(b"\r", b"")
        cut = self.HELD.search(data)
        self._held = data[cut.start():] if cut else b""
        self._shown.write(data[:cut.start()] if cut else data)

    def flush(self):
        self._shown.flush()


class Session:
    """A person at the SP's prompt, who checks every answer."""

    def __init__(self, port, password, known_hosts):
        self._password = password
        self._port = port
        self._known_hosts = known_hosts
        self._steps = 0
        self._ssh = None

    def step(self, what):
        self._steps += 1
        self._what = what
        print(f"\n\033[1m# {self._steps}. {what}\033[0m" if sys.stdout.isatty() else f"\n# {self._steps}. {what}",
              flush=True)

    def log_in(self):
        self.step("Log in to the service processor")
        print(f"$ ssh -p {self._port} root@localhost", flush=True)
        self._ssh = pexpect.spawn(
            "ssh", ["-F", "none", "-p", str(self._port), "-o", "StrictHostKeyChecking=accept-new",
                    "-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "PubkeyAuthentication=no",
                    "-o", "LogLevel=ERROR", "root@localhost"],
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"}, dimensions=(40, 132), timeout=20)
        self._ssh.logfile_read = LiveText(open(LOGS / "transcript", "wb", buffering=0), sys.stdout.buffer)
        self.await_text(rb"Password: ")
        self._ssh.sendline(self._password)
        self.await_text(PROMPT)

    def await_text(self, pattern, limit=20):
        """The match of the pattern, once it has appeared; what came before is in `before`."""
        try:
            self._ssh.expect(pattern, timeout=limit)
        except pexpect.TIMEOUT:
            self.fail(f"no {readable(pattern)} within {limit} s")
        except pexpect.EOF:
            self.fail(f"the connection ended before {readable(pattern)} came")
        return self._ssh.match

    def fail(self, why):
        tail = self._ssh.before if isinstance(self._ssh.before, bytes) else b""
        last = LiveText.CONTROL.sub(b"", tail).decode(errors="replace").replace("\r", "").strip()[-400:]
        raise StepFailed(f"step {self._steps} ({self._what}): {why}" + (f"\nThe last it said: {last}" if last else ""))

    def type(self, line):
        self._ssh.sendline(line)

    def ask(self, line, limit=20):
        """Types a command at the prompt; gives what it answered, without its echo."""
        self.type(line)
        self.await_text(PROMPT, limit)
        answer = LiveText.CONTROL.sub(b"", self._ssh.before).decode(errors="replace").replace("\r", "")
        return answer.partition("\n")[2]

    def expect_answer(self, line, answer):
        got = self.ask(line)
        if not re.search(answer, got, re.MULTILINE):
            self.fail(f"`{line}` was to answer {answer!r} but answered {got.strip()!r}")

    def start_host(self):
        """`start /SYS` with its question, or `reset /SYS` where it runs already."""
        self.type("start /SYS")
        answered = self.await_text(rb"\(y/n\)\? |already started")
        if answered[0] == b"already started":
            self.await_text(PROMPT)
            self.type("reset /SYS")
            self.await_text(rb"\(y/n\)\? ")
        self.type("y")
        self.await_text(rb"Starting /SYS|Performing (?:hard )?reset on /SYS")
        self.await_text(PROMPT)

    def wait_until_operational(self, limit=10):
        deadline = time.monotonic() + limit
        while "status = operational" not in self.ask(f"show {STORAGE}/"):
            if time.monotonic() > deadline:
                self.fail(f"the image was not operational within {limit} s")
            time.sleep(1)

    def boot_from_the_image(self):
        self.step("Stop the host at the ok prompt, and look around")
        self.type("start /SP/console -script")
        self.await_text(rb"Serial console started\.  To stop, type #\.")
        self.await_text(OK_PROMPT)
        self.type("reset-all")
        self.await_text(OK_PROMPT, 60)
        self.type("devalias")
        self.await_text(OK_PROMPT)
        aliases = self._ssh.before
        for alias in (b"rcdrom", b"cdrom", b"disk", b"net"):
            if not re.search(rb"(?:^|\n)" + alias + rb" +/\S+", aliases):
                self.fail(f"devalias does not show {alias.decode()} with its device path")
        self.step("Boot from the remote ISO")
        self.type("boot rcdrom")
        self.await_text(rb"Boot device: /\S+  File and args:")
        # Generous: an emulated processor on a busy machine.
        self.await_text(rb"Linux version \d", 180)
        self.await_text(rb"OpenLOM demo Linux", 180)
        self.await_text(rb"CD check: \d+ files, \d+ bytes, all OK|CD check: [^\n]*(?:FAILED|no CD|cannot)[^\n]*", 180)
        if not self._ssh.match[0].endswith(b"all OK"):
            self.fail("the guest could not read its CD")
        self.await_text(rb"demo:\S+# ", 30)
        self.step("Leave the console")
        self._ssh.send("#.")
        self.await_text(rb"Serial console stopped\.")
        self.await_text(PROMPT)

    def log_out(self):
        self.type("exit")
        self.await_text(pexpect.EOF)
        self._ssh.close()

    def close(self):
        if self._ssh is not None:
            self._ssh.close(force=True)


def readable(pattern):
    if pattern is pexpect.EOF:
        return "end of the session"
    named = {PROMPT: "prompt ->", OK_PROMPT: "prompt {0} ok"}
    return named.get(pattern, f"text like {pattern.decode()!r}")


def play(session, server, uri):
    """The walk through design.md section 7, as typed."""
    session.log_in()
    session.step("Is the computer that has the ISO in reach?")
    session.expect_answer("set /SP/network/test ping=127.0.0.1", r"^Ping of 127\.0\.0\.1 succeeded$")
    session.step("Point the virtual CD at the ISO on it")
    session.expect_answer(f"set {STORAGE}/ mode=remote", r"^Set 'mode' to 'remote'$")
    session.expect_answer(f"cd {STORAGE}/remote", rf"^{STORAGE}/remote$")
    session.expect_answer(f"set username={server.username}", rf"^Set 'username' to '{server.username}'$")
    session.expect_answer(f"set password={server.password}", r"^Set 'password' to '\*\*\*\*\*'$")
    session.expect_answer(f"set server_URI={uri}", rf"^Set 'server_URI' to '{re.escape(uri)}'$")
    session.wait_until_operational()
    session.step("Power the host on, to stop before it boots")
    session.expect_answer('set /HOST/bootmode script="setenv auto-boot? false"',
                          r"^Set 'script' to 'setenv auto-boot\? false'$")
    session.start_host()
    session.boot_from_the_image()
    session.log_out()


class Daemon:
    """lomd and what outlives it: hosts and image readers. All of it ends with us."""

    def __init__(self, state, run):
        self.state = state
        self.run = run
        self.password = secrets.token_hex(5)
        self._process = None

    def __enter__(self):
        password_file = self.run / "initial-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password + "\n")
        command = [BUILD / "lomd", "--state-dir", self.state, "--run-dir", self.run, "--listen", "127.0.0.1",
                   "--ssh-port", "0", "--https-port", "0", "--initial-password-file", password_file, "--foreground"]
        with open(LOGS / "lomd.log", "wb") as log:
            # A session of its own: Ctrl-C is for us; we end lomd after its hosts.
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, start_new_session=True)
        return self

    def ports(self, limit=30):
        deadline = time.monotonic() + limit
        while True:
            with contextlib.suppress(OSError, ValueError):
                return json.loads((self.run / "ports.json").read_text())
            if self._process.poll() is not None:
                raise StepFailed(f"lomd ended with status {self._process.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise StepFailed(f"lomd opened no door within {limit} s: {self.last_words()}")
            time.sleep(0.05)

    def last_words(self):
        return (LOGS / "lomd.log").read_text(errors="replace").strip()[-500:] or "it said nothing"

    def wait(self):
        self._process.wait()
        raise StepFailed(f"lomd ended by itself with status {self._process.returncode}: {self.last_words()}")

    def __exit__(self, *_):
        # lomd leaves hosts and image readers running when it ends: stop them through it first.
        if self._process.poll() is None:
            for command in (["stop", "-force", "-script", "/SYS"], ["set", STORAGE, "mode=disabled"]):
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run([BUILD / "lom", "--run-dir", self.run, *command], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=10, check=False)
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        for console in self.state.glob("hosts/*/*.log"):
            shutil.copy(console, LOGS / f"{console.parent.name}-{console.name}")


def end_all_below():
    """What is left of ours comes to us, as we are its subreaper; end it by its id."""
    for number, limit in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
        deadline = time.monotonic() + limit
        for pid in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while descendants(os.getpid()) and time.monotonic() < deadline:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.02)


def unmount_below(*folders):
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1]
        if any(point.startswith(f"{folder}/") for folder in folders):
            subprocess.run(["umount", "--lazy", point], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def folder_for(kind, kept=None):
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"openlom-{kind}-"))
    folder.chmod(0o711)  # hosts may run under accounts of their own
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def welcome(daemon, ports, server, uri):
    web = f"    https://localhost:{ports['https']}/\n" if ports.get("https") else ""
    print(f"""
OpenLOM is running, with the demo host booted from the ISO. From another terminal:

    ssh -p {ports['ssh']} root@localhost
{web}
    password of root:  {daemon.password}
    the demo ISO:      {uri}
                       (username {server.username}, password {server.password})
    logs:              {LOGS}

Ctrl-C ends it all.""", flush=True)


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def serve(arguments):
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(folder_for("state", arguments.state_dir))
        run = stack.enter_context(folder_for("run"))
        stack.callback(unmount_below, state, run)
        stack.callback(end_all_below)
        server = stack.enter_context(ImageServer(LOGS / "sshd.log"))
        uri = server.add(DEMO_ISO)
        daemon = stack.enter_context(Daemon(state, run))
        # From here to the end of the clean-up a second Ctrl-C changes nothing.
        stack.callback(lambda: [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)])
        ports = daemon.ports()
        session = Session(ports["ssh"], daemon.password, run / "known_hosts")
        stack.callback(session.close)
        play(session, server, uri)
        print("\nThe tour is done: every step gave what it should.", flush=True)
        if not arguments.tour_only:
            welcome(daemon, ports, server, uri)
            daemon.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tour-only", action="store_true")
    parser.add_argument("--state-dir", type=pathlib.Path)
    arguments = parser.parse_args()

    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        serve(arguments)
    except (StepFailed, RuntimeError, OSError) as fault:
        print(f"\ntour: FAILED: {fault}\nLogs: {LOGS}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
