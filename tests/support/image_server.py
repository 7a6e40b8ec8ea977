"""A real OpenSSH server on loopback that offers image files by SFTP, with an account of its own.

The account exists only inside this sshd: libnss_wrapper gives that one process its own passwd,
group and shadow. Nothing is added to the machine, and nothing is left when the process ends. The
account is confined to a read-only folder (chroot, internal-sftp -R) and may do nothing else.
Needs root (sshd checks passwords and changes its root folder) and the packages openssh-server and
libnss-wrapper. Used by the tour of ./run and by tests.
"""

import ctypes
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import tempfile
import time

HOME = "/export/home/user"
NOGROUP = 65534
ACCOUNT_UID = 61184  # Debian gives 60000-64999 to no ordinary account.


class ImageServer:
    """Use with `with`; `port`, `username`, `password` and `uri(name)` say how to reach it."""

    def __init__(self, log, username="user", password=None, authorized_key=None, host_key=None, port=0):
        self.username = username
        self.password = password or secrets.token_hex(6)
        self.port = port or free_port()
        self.log = pathlib.Path(log)
        self.authorized_key = authorized_key
        self.host_key = host_key
        self.root = None
        self._own = None
        self._process = None

    def __enter__(self):
        missing = self.missing()
        if missing:
            raise RuntimeError(missing)
        try:
            # sshd's chroot wants every folder on the way to be root's alone: /tmp is not.
            self.root = pathlib.Path(tempfile.mkdtemp(prefix="openlom-images-", dir="/var/lib"))
            self.root.chmod(0o755)
            self.home = self.root / HOME.lstrip("/")
            self.home.mkdir(parents=True)
            self._own = pathlib.Path(tempfile.mkdtemp(prefix="openlom-sshd-"))
            self._own.chmod(0o711)  # sshd reads the account's keys as the account
            self._write_accounts()
            self._write_configuration()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        for folder in (self.root, self._own):
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def missing():
        """Why this cannot work here, or an empty string."""
        if os.geteuid() != 0:
            return "the image server needs root: it checks passwords and confines its account"
        if not os.path.exists("/usr/sbin/sshd"):
            return "/usr/sbin/sshd is missing: apt-get install openssh-server"
        if not list(pathlib.Path("/usr/lib").glob("*/libnss_wrapper.so")):
            return "libnss_wrapper.so is missing: apt-get install libnss-wrapper"
        return ""

    def add(self, image, name=None):
        """Offers a copy of an image; gives its URI."""
        name = name or pathlib.Path(image).name
        shutil.copy(image, self.home / name)
        return self.uri(name)

    def uri(self, name):
        return f"sshfs://127.0.0.1:{self.port}{HOME}/{name}"

    def start(self):
        """Also after stop(): the same port, keys and files."""
        # sshd's unprivileged half lives there; systemd or the init script would have made it.
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_PRELOAD": "libnss_wrapper.so"}
        for part in ("passwd", "group", "shadow"):
            environment[f"NSS_WRAPPER_{part.upper()}"] = str(self._own / part)
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C at the terminal is not for it, and stop() ends the
            # processes of all its connections together. It goes when we do, however we go.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "/usr/sbin/sshd", "-D", "-e", "-f", self._own / "sshd_config"],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while not answers(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not answer; it says: {self.log.read_text()[-500:]}")
            time.sleep(0.02)

    def stop(self):
        """Ends the server and every connection to it."""
        if self._process is None:
            return
        for pid in [*descendants(self._process.pid), self._process.pid]:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self._process.wait()
        self._process = None

    def _write_accounts(self):
        hashed = hash_of(self.password)
        sshd = next(line for line in open("/etc/passwd", encoding="utf-8") if line.startswith("sshd:"))
        accounts = (f"root:x:0:0::/root:/usr/sbin/nologin\n{sshd}"
                    f"{self.username}:x:{ACCOUNT_UID}:{NOGROUP}::{HOME}:/usr/sbin/nologin\n")
        (self._own / "passwd").write_text(accounts)
        (self._own / "group").write_text(f"root:x:0:\nnogroup:x:{NOGROUP}:\n")
        (self._own / "shadow").touch(mode=0o600)
        (self._own / "shadow").write_text(f"{self.username}:{hashed}:19000:0:99999:7:::\n")

    def _write_configuration(self):
        key = self._own / "host_key"
        if self.host_key:
            shutil.copy(self.host_key, key)
            key.chmod(0o600)
        else:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True,
                           stdin=subprocess.DEVNULL)
        authorized = self._own / "authorized_keys"
        authorized.write_text(self.authorized_key or "")
        (self._own / "sshd_config").write_text(
            f"Port {self.port}\n"
            "ListenAddress 127.0.0.1\n"
            f"HostKey {key}\n"
            "PidFile none\n"
            "UsePAM no\n"
            "PermitRootLogin no\n"
            "PasswordAuthentication yes\n"
            "KbdInteractiveAuthentication no\n"
            f"AuthorizedKeysFile {authorized}\n"
            "StrictModes no\n"
            f"AllowUsers {self.username}\n"
            "DisableForwarding yes\n"
            f"ChrootDirectory {self.root}\n"
            "ForceCommand internal-sftp -R\n"
            "Subsystem sftp internal-sftp\n"
            "LogLevel VERBOSE\n")


def hash_of(password):
    """As /etc/shadow has it. The C library's own function: Python's crypt module is on its way out."""
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_char_p], ctypes.c_char_p
    return function(password.encode(), b"$6$" + secrets.token_hex(8).encode()).decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def descendants(pid):
    """The processes below `pid`, deepest first."""
    found = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        for task in tasks:
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += [*descendants(int(child)), int(child)]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found
