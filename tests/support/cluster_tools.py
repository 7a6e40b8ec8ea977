"""Debian's powerman and ConMan, unmodified, with folders and a configuration of one's own.

    with Powerman(sp) as powerman:
        powerman.power("--on")           # a CompletedProcess
        powerman.plug()                  # "on", "off" or "unknown"
    with Conman(sp) as conman:
        conman.client()                  # pexpect: a person at the console
        conman.log()                     # what ConMan recorded of the console

Both daemons run as an ordinary user where the tests are root.
"""

import os
import pathlib
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

import pexpect

from tests.support.lomd import SSH_OPTIONS, wait_until

DEVICE_FILE = pathlib.Path("/etc/powerman/ilom.dev")
EXPECT_SCRIPT = pathlib.Path("/usr/lib/conman/exec/sun-ilom.exp")
# ilom.dev knows no other.
PASSWORD = "changeme"


def missing():
    """What a test must skip for; empty: nothing."""
    needed = {"/usr/sbin/powermand": "powerman", "/usr/bin/powerman": "powerman", DEVICE_FILE: "powerman",
              "/usr/sbin/conmand": "conman", "/usr/bin/conman": "conman", EXPECT_SCRIPT: "conman",
              "/usr/bin/expect": "expect", "/usr/bin/socat": "socat"}
    packages = sorted({package for path, package in needed.items() if not pathlib.Path(path).exists()})
    return f"not installed: {' '.join(packages)}" if packages else ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Daemon:
    """A process in a folder of its own, as user nobody where the tests may choose."""

    def __init__(self, sp, name):
        self.sp = sp
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=sp.home))
        self.port = free_port()
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.process = None

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def give_folder(self):
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def spawn(self, *command):
        who = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **(who if os.geteuid() == 0 else {}))
        wait_until(lambda: answers(self.port), 20, f"{command[0]} listens: {self.output()}")

    def output(self):
        return (self.folder / "daemon.log").read_text(errors="replace")


class Powerman(Daemon):
    """powermand with the package's own ilom.dev, which logs in as root with the password changeme."""

    def __init__(self, sp):
        super().__init__(sp, "powerman")

    def __enter__(self):
        ssh = shlex.join(["/usr/bin/ssh", *SSH_OPTIONS, "-p", str(self.sp.ports["ssh"]), "-lroot", "127.0.0.1"])
        (self.folder / "powerman.conf").write_text(
            f'include "{DEVICE_FILE}"\nlisten "127.0.0.1:{self.port}"\n'
            f'device "sp" "ilom" "{ssh} |&"\nnode "vm" "sp" "1"\n')
        self.give_folder()
        self.spawn("/usr/sbin/powermand", "--foreground", "--conf", self.folder / "powerman.conf")
        return self

    def power(self, *options):
        return subprocess.run(["/usr/bin/powerman", "-h", f"127.0.0.1:{self.port}", *options],
                              capture_output=True, text=True, timeout=60)

    def plug(self):
        """What powerman says of the host; it logs in by itself while one asks."""
        found = re.search(r"^(on|off|unknown): +vm$", self.power("--query", "vm").stdout, re.MULTILINE)
        return found[1] if found else ""


class Conman(Daemon):
    """conmand with the package's own sun-ilom.exp; `override=False` changes the script's one setting
    for it, session_override."""

    def __init__(self, sp, override=True):
        super().__init__(sp, "conman")
        self.override = override

    def __enter__(self):
        script = EXPECT_SCRIPT
        if not self.override:
            script = self.folder / "sun-ilom.exp"
            text = EXPECT_SCRIPT.read_text()
            assert text.count("set session_override 1") == 1
            script.write_text(text.replace("set session_override 1", "set session_override 0"))
            script.chmod(0o755)
        (self.folder / "conman.conf").write_text(
            f'server loopback=on\nserver port={self.port}\nserver pidfile="{self.folder}/pid"\n'
            f'server logdir="{self.folder}"\n'
            f'console name="vm" dev="{self._at_home()} {script} sp root {PASSWORD}" log="vm.log"\n')
        self.give_folder()
        self.spawn("/usr/sbin/conmand", "-F", "-v", "-c", self.folder / "conman.conf")
        return self

    def _at_home(self):
        """The script says `ssh -p 22 sp`; where that is, OpenSSH learns from a home of its own."""
        settings = self.folder / ".ssh"
        settings.mkdir(mode=0o700)
        (settings / "config").write_text(
            f"Host sp\nProxyCommand /usr/bin/socat - TCP:127.0.0.1:{self.sp.ports['ssh']}\n"
            "StrictHostKeyChecking accept-new\n")
        (settings / "config").chmod(0o600)
        account = self.account
        (self.folder / "passwd").write_text(
            f"{account.pw_name}:x:{account.pw_uid}:{account.pw_gid}::{self.folder}:/bin/sh\n")
        (self.folder / "group").write_text(f"nogroup:x:{account.pw_gid}:\n")
        return (f"/usr/bin/env LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD={self.folder}/passwd "
                f"NSS_WRAPPER_GROUP={self.folder}/group")

    def client(self, *options):
        person = pexpect.spawn("/usr/bin/conman", ["-d", f"127.0.0.1:{self.port}", *options, "vm"],
                               encoding="utf-8", codec_errors="replace", timeout=20)
        person.delaybeforesend = None
        person.expect_exact("Connection to console [vm] opened.")
        return person

    def log(self):
        log = self.folder / "vm.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def wait_for(self, text, limit=20):
        try:
            wait_until(lambda: text in self.log(), limit, f"ConMan has recorded {text!r}")
        except AssertionError as fault:
            raise AssertionError(f"{fault}; it has {self.log()[-2000:]!r}") from None
