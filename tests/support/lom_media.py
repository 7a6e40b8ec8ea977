"""Runs lom-media for tests: credentials over a pipe, its control socket, its mount."""

import json
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

BUILD = Path(os.environ.get("LOM_BUILD", Path(__file__).resolve().parents[2] / "build"))
PROGRAM = BUILD / "lom-media"


def mounted(path):
    wanted = str(path)
    return any(line.split()[4] == wanted
               for line in Path("/proc/self/mountinfo").read_text().splitlines())


class LomMedia:
    def __init__(self, folder, uri, credentials=None, known_hosts=None, control=True, options=(),
                 new_session=False):
        """`new_session`: as lomd starts it, so that Linux shares the processors out as it does there."""
        self.folder = Path(folder)
        self.file = self.folder / "image"
        if not mounted(self.file):
            self.file.touch()
        self.control_path = self.folder / "control.sock" if control else None
        argv = [str(PROGRAM), uri, str(self.file), "--allow-loopback", *options]
        if known_hosts:
            argv += ["--known-hosts", str(known_hosts)]
        if control:
            argv += ["--control", str(self.control_path)]
        reader = None
        if credentials is not None:
            reader, writer = os.pipe()
            text = credentials if isinstance(credentials, str) else json.dumps(credentials)
            os.write(writer, text.encode())
            os.close(writer)
            argv += ["--credentials-fd", str(reader)]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=new_session,
                                        pass_fds=() if reader is None else (reader,))
        if reader is not None:
            os.close(reader)
        self.control = None

    def wait_ready(self, seconds=15):
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if readable else b"(nothing)"
        assert line == b"ready\n", (line, self.errors() if line == b"" else "")
        return self

    def connect_control(self, seconds=10):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return Control(self.control_path)
            except OSError:
                assert time.monotonic() < deadline, "no control socket"
                time.sleep(0.02)

    def wait_status(self, status, seconds=10):
        """The report that first shows `status`."""
        if self.control is None:
            self.control = self.connect_control()
        return self.control.wait(lambda report: report["status"] == status, seconds)

    def end(self, seconds=10):
        """Its exit status and what it wrote to stderr, when it ends by itself."""
        code = self.process.wait(seconds)
        return code, self.errors()

    def errors(self):
        return self.process.stderr.read().decode()

    def terminate(self, seconds=10):
        self.process.terminate()
        return self.process.wait(seconds)

    def close(self):
        if self.control:
            self.control.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()
        subprocess.run(["umount", "-l", str(self.file)], check=False, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Control:
    """A client of the control socket; keeps every report that came."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.reports = []
        self.rest = b""

    def wait(self, wanted, seconds=10):
        deadline = time.monotonic() + seconds
        if self.reports and wanted(self.reports[-1]):
            return self.reports[-1]
        while True:
            left = deadline - time.monotonic()
            last = self.reports[-1] if self.reports else None
            assert left > 0, f"still {last}"
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            assert data, f"control socket closed after {last}"
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self.reports.append(json.loads(line))
            for report in self.reports[len(self.reports) - len(lines):]:
                if wanted(report):
                    return report

    def command(self, name):
        self.socket.sendall(json.dumps({"command": name}).encode() + b"\n")

    def close(self):
        self.socket.close()


class Background:
    """Runs function() in a thread; result() gives what it returned or raises what it raised."""

    def __init__(self, function):
        self.outcome = None
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self.thread.start()

    def _run(self, function):
        try:
            self.outcome = function()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def result(self, seconds):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"still running after {seconds} s"
        if self.error:
            raise self.error
        return self.outcome
