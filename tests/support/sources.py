"""The servers that a remote image can come from, all alike to a test: sshd, nginx, nfs-ganesha, Samba.

    with Source.of("nfs", folder) as source:
        source.put(image)                  # as image.iso
        source.path                        # where it lies, to be changed under the reader
        source.uri(), source.uri(line.port), source.credentials
        source.kill(); source.start()      # listener and sessions; the same port again
"""

import os
import random
import signal
from pathlib import Path

from tests.support import ganesha, nginx, samba, sshd
from tests.support.sshd import children

KINDS = ("ssh", "http", "nfs", "smb")
NAME = "image.iso"


class Source:
    module = None
    server = None
    credentials = None
    # A handle that is open goes on reading a file that has lost its name or its mode.
    keeps_handles = True
    tells_old_time_while_open = False
    # What is said of a file that nobody may read any more.
    unreadable = "permission denied"

    @staticmethod
    def of(kind, folder):
        return {"ssh": OverSsh, "http": OverHttp, "nfs": OverNfs, "smb": OverSmb}[kind](folder)

    @staticmethod
    def missing(*kinds):
        """What keeps these from working here, or an empty string."""
        modules = {"ssh": sshd, "http": nginx, "nfs": ganesha, "smb": samba}
        return next((said for kind in kinds or KINDS if (said := modules[kind].missing())), "")

    @property
    def port(self):
        return self.server.port

    @property
    def path(self):
        return self.server.files / NAME

    def put(self, image):
        self.path.write_bytes(image)
        self.path.chmod(0o644)

    def make_unreadable(self):
        self.path.chmod(0)

    def start(self):
        self.server.start()

    def kill(self):
        """The hard way: listener and sessions."""
        process, self.server.process = self.server.process, None
        for pid in [process.pid, *children(process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(10)

    def sessions(self):
        """Processes that serve one client or some: others take their place."""
        return children(self.server.process.pid)

    def kill_one_session(self):
        """False: there was none."""
        victims = self.sessions()
        try:
            os.kill(random.choice(victims), signal.SIGKILL)
        except (IndexError, ProcessLookupError):
            return False
        return True

    def is_open(self):
        """Whether a client has the file open, where that matters."""
        return False

    def close(self):
        self.server.stop()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()


class OverSsh(Source):
    def __init__(self, folder):
        self.server = sshd.Sshd(folder)
        self.credentials = self.server.credentials()

    @property
    def path(self):
        return Path(self.server.home) / NAME

    def uri(self, port=None):
        return f"sshfs://127.0.0.1:{port or self.port}:{self.path}"

    def kill(self):
        self.server.stop()
        self.server.kill_sessions()

    def sessions(self):
        return self.server.sessions()

    def close(self):
        self.server.close()


class OverHttp(Source):
    keeps_handles = False
    unreadable = "no such file"

    def __init__(self, folder):
        self.server = nginx.Nginx(folder)
        self.credentials = {}

    def uri(self, port=None):
        return f"http://127.0.0.1:{port or self.port}/{NAME}"

    def make_unreadable(self):
        self.path.unlink()  # this nginx is root's


class OverNfs(Source):
    def __init__(self, folder):
        self.server = ganesha.Ganesha(folder)

    def uri(self, port=None):
        return f"nfs://127.0.0.1:{port or self.port}/images/{NAME}"


class OverSmb(Source):
    tells_old_time_while_open = True

    def __init__(self, folder):
        self.server = samba.Samba(folder)
        self.credentials = self.server.credentials()

    def uri(self, port=None):
        return f"smb://127.0.0.1:{port or self.port}/images/{NAME}"

    def is_open(self):
        return self.server.is_open()
