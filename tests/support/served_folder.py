"""What the private servers of tests (nginx, Samba, NFS) have in common: a folder of files, a process, a port."""

import socket
import subprocess
from pathlib import Path

from tests.support.sshd import wait_for


class ServedFolder:
    """Use with `with`. A subclass says `command()` and `port`, and writes its configuration in configure()."""

    def __init__(self, folder, name):
        self.folder = Path(folder) / name
        self.files = self.folder / "files"
        self.files.mkdir(parents=True)
        self.process = None

    def put(self, name, content):
        (self.files / name).write_bytes(content)
        return name

    def start(self):
        self.configure()
        with open(self.folder / "out", "ab") as out:
            # In a session of its own: a Samba that ends sends SIGTERM to its whole process group.
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True)
        wait_for(self._answers, 20, f"{self.command()[0]} answers")
        return self

    def _answers(self):
        assert self.process.poll() is None, (self.folder / "out").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
