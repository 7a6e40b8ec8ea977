"""A lomd whose host boots the demo ISO from a real SFTP server on loopback."""

import contextlib
import os
import pathlib
import re

from tests.support import isos
from tests.support.image_server import ImageServer
from tests.support.lomd import Lomd, wait_until

STORAGE = "/SP/services/kvms/host_storage_device"
CHECKED = rb"CD check: (\d+) files, (\d+) bytes, all OK\r"
BOOT_LIMIT = 90


def missing():
    """What a test must skip for; empty: nothing."""
    return Lomd.missing() or ImageServer.missing()


def point_at_image(sp, server, name=None):
    """Gives the host the image; returns when its status is operational."""
    uri = server.uri(name or isos.demo().name)
    lines = [f"set {STORAGE}/remote username={server.username}", f"set {STORAGE}/remote password={server.password}",
             f"set {STORAGE}/remote server_URI={uri}", f"set {STORAGE} mode=remote"]
    done = sp.lom(input="\n".join(lines) + "\n")
    assert done.returncode == 0, done
    wait_for_storage(sp, "operational")


def wait_for_storage(sp, status, limit=15):
    wait_until(lambda: storage_status(sp) == status, limit, f"host_storage_device is {status}")


def storage_status(sp):
    return prop(sp, STORAGE, "status")


def boot_cd(sp):
    for line in ("set /HOST boot_device=cdrom", "start -script /SYS"):
        done = sp.lom(line)
        assert done.returncode == 0, done


@contextlib.contextmanager
def booted(folder, **lomd):
    """A Lomd(**lomd) whose host runs the demo Linux from the remote image, its shell at the prompt."""
    with ImageServer(folder / "sshd") as server, Lomd(**lomd) as sp:
        server.add(isos.demo())
        point_at_image(sp, server)
        boot_cd(sp)
        wait_until(lambda: re.search(rb"demo:.*# ", console_log(sp)), BOOT_LIMIT, "the demo Linux has booted")
        yield sp


def prop(sp, target, name):
    """A property's value as `show` has it."""
    done = sp.lom(f"show {target} {name}")
    found = re.search(rf"^ +{name} = (.*)$", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and found, done
    return found[1]


def processes(sp, program):
    """Pids of the programs of that name that were given this lomd's folders."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if str(sp.home).encode() in (entry / "cmdline").read_bytes() and \
                    program in pathlib.Path(os.readlink(entry / "exe")).name and \
                    (entry / "comm").read_text() != "lom-steward\n":  # lom-media's other half
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def qemu_pid(sp):
    """The one QEMU of the host."""
    found = processes(sp, "qemu-system")
    assert len(found) == 1, found
    return found[0]


def console_log(sp):
    return (sp.state_dir / "hosts/host0/console.log").read_bytes()


def events(sp):
    """The event log's texts, oldest first."""
    return sp.lom("show -script /SP/logs/event/list").stdout
