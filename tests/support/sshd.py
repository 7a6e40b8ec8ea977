"""A private sshd for tests: its own host key, its own port on loopback, its own account.

It runs as root (it has to become the account). The account is made with useradd under a name of
its own and a random password, and removed by close(); no existing account is touched.

    with Sshd(tmp_path) as server:
        server.user, server.password, server.private_key, server.port, server.home
        server.stop(); server.kill_sessions(); server.start()   # the same port again
        server.change_host_key()
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SSHD = "/usr/sbin/sshd"


def missing():
    """What keeps the fixture from working here, or None."""
    for program in (SSHD, "/usr/sbin/useradd", "/usr/bin/ssh-keygen"):
        if not os.path.exists(program):
            return f"{program} is missing"
    if os.geteuid() != 0:
        return "needs root for a throw-away account"
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds, what):
    """The first true value of condition(), or an AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def children(pid):
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    found = [int(word) for word in text.split()]
    return found + [grandchild for child in found for grandchild in children(child)]


class Sshd:
    def __init__(self, folder, port=None, options=(), account=None, sftp="internal-sftp"):
        """`folder` holds keys and configuration. `account`: another Sshd whose account to share.
        `sftp`: the command that serves SFTP."""
        self.folder = Path(folder) / f"sshd-{secrets.token_hex(3)}"
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.port = port or free_port()
        self.options = list(options)
        self.sftp = sftp
        self.process = None
        self._sessions_of_old = []
        self._owns_account = account is None
        if account is None:
            self._make_account()
        else:
            self.user, self.password, self.home = account.user, account.password, account.home
            self.private_key, self.authorized_keys = account.private_key, account.authorized_keys
        self.change_host_key()

    # Account

    def _make_account(self):
        self.user = "lomtest" + secrets.token_hex(4)
        self.password = secrets.token_urlsafe(12)
        # Not under pytest's folder, which is closed to other accounts.
        self.home = Path("/tmp") / f"{self.user}-home"
        subprocess.run(["/usr/sbin/useradd", "--no-log-init", "--create-home", "--home-dir",
                        str(self.home), "--shell", "/bin/sh", self.user], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.home.chmod(0o755)
        subprocess.run(["/usr/sbin/chpasswd"], input=f"{self.user}:{self.password}\n", text=True,
                       check=True)
        self.private_key = self.folder / "user_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        str(self.private_key)], check=True)
        self.authorized_keys = self.home / "authorized_keys"
        shutil.copy(f"{self.private_key}.pub", self.authorized_keys)
        self.authorized_keys.chmod(0o644)

    def _remove_account(self):
        subprocess.run(["/usr/sbin/userdel", "--force", self.user], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)

    # Server

    @property
    def host_key(self):
        return self.folder / "host_key"

    def change_host_key(self, key_type="ed25519"):
        """A new host key; takes effect with the next start()."""
        for path in (self.host_key, Path(f"{self.host_key}.pub")):
            path.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", key_type, "-N", "", "-f", str(self.host_key)],
                       check=True)

    def fingerprint(self):
        shown = subprocess.run(["ssh-keygen", "-lf", str(self.host_key)], check=True,
                               capture_output=True, text=True).stdout
        return shown.split()[1]

    def _write_configuration(self):
        lines = self.options + [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"PidFile {self.folder}/pid",
            f"AuthorizedKeysFile {self.authorized_keys}",
            "PasswordAuthentication yes",
            "KbdInteractiveAuthentication no",
            "PubkeyAuthentication yes",
            f"AllowUsers {self.user}",
            "StrictModes no",
            "UsePAM no",
            "UseDNS no",
            "PrintMotd no",
            "MaxStartups 100",
            f"Subsystem sftp {self.sftp}",
        ]
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    def start(self):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self._write_configuration()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "config")], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        wait_for(self._answers, 10, f"sshd answers on port {self.port}\n{self.log()}")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"sshd ended at once:\n{self.log()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def sessions(self):
        """Pids of the processes that serve connections."""
        own = children(self.process.pid) if self.process else []
        return own + [pid for pid in self._sessions_of_old if os.path.exists(f"/proc/{pid}")]

    def kill_sessions(self, signal_number=signal.SIGKILL):
        for pid in self.sessions():
            try:
                os.kill(pid, signal_number)
            except ProcessLookupError:
                pass

    def stop(self):
        """Stops listening; sessions live on, as with a real sshd, until kill_sessions()."""
        if self.process is None:
            return
        self._sessions_of_old = self.sessions()
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        """A break: no listener, no session; then the same port again."""
        self.stop()
        self.kill_sessions()
        return self.start()

    def close(self):
        self.stop()
        self.kill_sessions()
        if self._owns_account:
            self._remove_account()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    # What lies on it

    def put(self, name, content, mode=0o644):
        """A file in the account's home; returns its path on the server."""
        path = self.home / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    def uri(self, path, user=None):
        return f"sshfs://{(user + '@') if user else ''}127.0.0.1:{self.port}:{path}"

    def credentials(self, password=True, key=False):
        found = {"username": self.user}
        if password:
            found["password"] = self.password
        if key:
            found["ssh_key"] = self.private_key.read_text()
        return found
