"""A host as a person at its serial console sees it, through OpenSSH's client and lomd.

    with GuestConsole(sp) as console:
        sp.lom("start -script /SYS")
        console.expect("READY")
        Linux(console).run("uname -r")
"""

import itertools
import json
import pathlib
import re
import socket

import pytest

from tests.support.image_server import ImageServer
from tests.support.lomd import PROMPT, Lomd, wait_until

STORAGE = "/SP/services/kvms/host_storage_device"
# For a step of a guest's boot: an emulated processor on a machine that others use too.
PATIENCE = 150


# For a module whose tests boot guests from images of a server: pytestmark = GUESTS_WITH_IMAGES.
GUESTS_WITH_IMAGES = [
    pytest.mark.qemu,
    pytest.mark.timeout(420),
    pytest.mark.skipif(bool(Lomd.missing() or ImageServer.missing()),
                       reason=Lomd.missing() or ImageServer.missing() or "built"),
]


class GuestConsole:
    """The right to type, held until close(); what the guest prints before that is not lost."""

    def __init__(self, sp):
        self.person = sp.terminal(size=(50, 250), timeout=PATIENCE)
        self.person.send("start -force -script /HOST/console\r")
        self.person.expect_exact("Serial console started.  To stop, type #.\r\n")

    def expect(self, pattern, timeout=PATIENCE):
        """The match, once it has come."""
        self.person.expect(pattern, timeout=timeout)
        return self.person.match

    def expect_exact(self, text, timeout=PATIENCE):
        self.person.expect_exact(text, timeout=timeout)

    @property
    def before(self):
        return self.person.before

    def send(self, text):
        self.person.send(text)

    def ok(self, line):
        """Types a line at the ok prompt; gives what it printed, up to the next prompt."""
        self.send(line + "\r")
        self.expect_exact(line + "\r\n")
        self.expect(r"\{0\} ok $")
        return self.before.replace("\r", "")

    def close(self):
        self.person.send("#.")
        self.person.expect(PROMPT, timeout=20)
        self.person.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.person.close()


class Linux:
    """The demo Linux's shell on a console."""

    numbers = itertools.count(1)

    def __init__(self, console):
        self.console = console

    def wait(self):
        self.console.expect_exact("A root shell is on this console")
        self.console.expect(r"demo:\S+# ")
        return self

    def run(self, command, timeout=PATIENCE):
        """(exit status, output)"""
        number = next(self.numbers)
        self.console.send(f"echo be'gin'{number}; {command}; echo e'nd'{number}=$?\r")
        match = self.console.expect(rf"begin{number}\r\n((?s:.*?))end{number}=(\d+)\r\n", timeout)
        return int(match[2]), match[1].replace("\r", "").strip()

    def get(self, command, timeout=PATIENCE):
        status, output = self.run(command, timeout)
        assert status == 0, (command, status, output)
        return output


def get(sp, target, name):
    """A property's value as JSON has it."""
    done = sp.lom(f"show -o json {target} {name}")
    assert done.returncode == 0, done
    return json.loads(done.stdout)["Properties"][name]


def wait_for(sp, target, name, value, limit=PATIENCE):
    """Until the property has the value, or matches it when that is a pattern of re.compile."""
    def there():
        seen.append(get(sp, target, name))
        return value.search(str(seen[-1])) if isinstance(value, re.Pattern) else seen[-1] == value
    seen = []
    try:
        wait_until(there, limit, f"{target} {name} = {value}")
    except AssertionError as late:
        raise AssertionError(f"{late}; it is {seen[-1] if seen else None!r}") from None


def events(sp):
    """The event log's descriptions, oldest first."""
    done = sp.lom("show -o json /SP/logs/event/list")
    assert done.returncode == 0, done
    return [row["Description"] for row in reversed(rows_of(json.loads(done.stdout)))]


def rows_of(view):
    if isinstance(view, list):
        return view
    for value in view.values():
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            return value
    raise AssertionError(f"no table in {view}")


def must(sp, *lines):
    for line in lines:
        done = sp.lom(line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def insert(sp, server, uri):
    """The image in the host's virtual CD drive, once it is there."""
    must(sp, f"set {STORAGE}/remote username={server.username} password={server.password} server_URI={uri}",
         f"set {STORAGE} mode=remote")
    wait_for(sp, STORAGE, "status", "operational", 20)


def power_off(sp):
    sp.lom("stop -force -script /SYS")
    wait_for(sp, "/HOST", "status", "Powered Off", 20)


def qemu_pid(sp):
    """The running QEMU, by the folder in its arguments."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"qemu-system" in arguments[0] and str(sp.run_dir).encode() in b" ".join(arguments):
            return int(entry.name)
    return None


class Qmp:
    """QEMU's second monitor, which lomd does not use."""

    def __init__(self, sp, host="host0"):
        # QEMU's own folder, the one place where it may write.
        path = next((sp.run_dir / "hosts" / host).rglob("qmp2.sock"))
        self.folder = path.parent
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rw")
        self._file.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            reply = json.loads(self._file.readline())
            if "error" in reply:
                raise AssertionError(reply["error"]["desc"])
            if "return" in reply:
                return reply["return"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()


def screen_text(sp):
    """What the VGA text screen shows, in lines."""
    with Qmp(sp) as qmp:
        dump = qmp.folder / "screen"
        qmp("pmemsave", val=0xB8000, size=80 * 25 * 2, filename=str(dump))
    cells = dump.read_bytes()[::2].decode("cp437").replace("\0", " ")
    return [cells[at:at + 80].rstrip() for at in range(0, len(cells), 80)]
