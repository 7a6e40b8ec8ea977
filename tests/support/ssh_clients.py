"""SSH clients that nobody here wrote, each with the same three ways in:

    client.command(sp, "show /SP")       # one command: a Done
    client.lines(sp, "version\\n")        # lines on standard input, no terminal
    client.person(sp)                    # pexpect: its program in a terminal, before the password
"""

import asyncio
import os
import shutil
import stat
import subprocess
import warnings
from dataclasses import dataclass

import paramiko
import pexpect

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of old ciphers that it merely lists
    try:
        import asyncssh
    except ImportError:
        asyncssh = None

LIMIT = 60  # seconds


@dataclass
class Done:
    status: int
    output: str  # line ends as they came


def run(arguments, text=None, **more):
    done = subprocess.run(arguments, input=None if text is None else text.encode(), timeout=LIMIT,
                          stdin=subprocess.DEVNULL if text is None else None, capture_output=True, **more)
    return Done(done.returncode, done.stdout.decode())


def secret_file(sp):
    file = sp.home / "secret"
    file.touch(mode=0o600)
    file.write_text(sp.password + "\n")
    return file


class OpenSsh:
    def missing(self):
        return "" if shutil.which("ssh") else "openssh-client"

    def command(self, sp, line):
        return run(sp.ssh_arguments(line), env=sp.ssh_environment())

    def lines(self, sp, text):
        return run(sp.ssh_arguments(), text, env=sp.ssh_environment())

    def person(self, sp):
        return spawn(sp.ssh_arguments())


class Dropbear:
    def missing(self):
        return "" if shutil.which("dbclient") else "dropbear-bin"

    def arguments(self, sp, *more):
        # -y -y: no question about the host's key, and nothing kept of it.
        return ["dbclient", "-y", "-y", "-p", str(sp.ports["ssh"]), *more, "root@127.0.0.1"]

    def environment(self, sp):
        return {**os.environ, "DROPBEAR_PASSWORD": sp.password}

    def command(self, sp, line):
        return run([*self.arguments(sp), line], env=self.environment(sp))

    def lines(self, sp, text):
        return run(self.arguments(sp, "-T"), text, env=self.environment(sp))

    def person(self, sp):
        return spawn(self.arguments(sp))


class Plink:
    def missing(self):
        return "" if shutil.which("plink") and shutil.which("ssh-keygen") else "putty-tools openssh-client"

    def arguments(self, sp, *more):
        """The fingerprint is given, for its store of them is in a home folder."""
        known = subprocess.run(["ssh-keyscan", "-t", "ed25519", "-p", str(sp.ports["ssh"]), "127.0.0.1"],
                               capture_output=True, timeout=LIMIT, check=True).stdout
        fingerprint = subprocess.run(["ssh-keygen", "-lf", "-"], input=known, capture_output=True, check=True)
        return ["plink", "-ssh", "-P", str(sp.ports["ssh"]), "-hostkey",
                fingerprint.stdout.decode().split()[1], *more, "root@127.0.0.1"]

    def command(self, sp, line):
        return run([*self.arguments(sp, "-batch", "-pwfile", secret_file(sp)), line])

    def lines(self, sp, text):
        return run(self.arguments(sp, "-batch", "-T", "-pwfile", secret_file(sp)), text)

    def person(self, sp):
        return spawn(self.arguments(sp, "-no-antispoof"))


class Paramiko:
    def missing(self):
        return ""

    def _run(self, sp, begin, text):
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", sp.ports["ssh"], "root", sp.password, allow_agent=False, look_for_keys=False)
        try:
            channel = client.get_transport().open_session()
            channel.settimeout(LIMIT)
            begin(channel)
            channel.sendall(text.encode())
            channel.shutdown_write()
            output = channel.makefile("rb").read().decode()
            return Done(channel.recv_exit_status(), output)
        finally:
            client.close()

    def command(self, sp, line):
        return self._run(sp, lambda channel: channel.exec_command(line), "")

    def lines(self, sp, text):
        return self._run(sp, lambda channel: channel.invoke_shell(), text)


class AsyncSsh:
    def missing(self):
        return "" if asyncssh else "python3-asyncssh"

    def _run(self, sp, **what):
        async def dialogue():
            async with asyncssh.connect("127.0.0.1", sp.ports["ssh"], username="root", password=sp.password,
                                        known_hosts=None, client_keys=None, config=None) as connection:
                return await connection.run(timeout=LIMIT, encoding="utf-8", **what)
        done = asyncio.run(dialogue())
        return Done(done.exit_status, done.stdout)

    def command(self, sp, line):
        return self._run(sp, command=line)

    def lines(self, sp, text):
        return self._run(sp, input=text)


class Ansible:
    """Its module `raw`, which wants nothing but a shell at the other end. It types no lines."""

    def missing(self):
        return "" if shutil.which("ansible") and shutil.which("sshpass") else "ansible-core sshpass"

    def command(self, sp, line):
        home = sp.home / "ansible"
        home.mkdir(exist_ok=True)
        (home / "hosts").touch(mode=stat.S_IRUSR | stat.S_IWUSR)
        (home / "hosts").write_text(
            f"sp ansible_host=127.0.0.1 ansible_port={sp.ports['ssh']} ansible_user=root "
            f"ansible_password={sp.password} ansible_ssh_common_args='-F none "
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'\n")
        environment = {**os.environ, "HOME": str(home), "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
                       "ANSIBLE_SSH_CONTROL_PATH_DIR": str(home / "cp"), "ANSIBLE_NOCOLOR": "1",
                       "ANSIBLE_SSH_ARGS": "", "LC_ALL": "C.UTF-8"}
        done = run(["ansible", "-i", home / "hosts", "sp", "-m", "raw", "-a", line], env=environment)
        head, _, output = done.output.partition(" >>\n")
        return Done(int(head.rpartition("rc=")[2]), output)


def spawn(arguments):
    person = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=20, dimensions=(24, 80))
    person.delaybeforesend = None
    return person


PROGRAMS = {"openssh": OpenSsh(), "dbclient": Dropbear(), "plink": Plink()}
ALL = {**PROGRAMS, "paramiko": Paramiko(), "asyncssh": AsyncSsh(), "ansible": Ansible()}
