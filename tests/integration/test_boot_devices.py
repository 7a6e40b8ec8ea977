"""The host boots from each of its devices for images, by BIOS and by UEFI, from a remote image and from one of
the library."""

import subprocess

import pytest

from tests.support import isos
from tests.support.guest import GUESTS_WITH_IMAGES, GuestConsole, get, must, power_off, wait_for
from tests.support.image_server import ImageServer
from tests.support.lomd import Lomd

KVMS = "/SP/services/kvms"
CD, CD2, USB = f"{KVMS}/host_storage_device", f"{KVMS}/host_storage_device2", f"{KVMS}/host_usb_device"
# What each prints; the same file boots from a CD and from a disk.
NAMES = {CD: "lom-cd", CD2: "lom-cd2", USB: "lom-usb"}

pytestmark = GUESTS_WITH_IMAGES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        for name in NAMES.values():
            images.add(isos.grub_reboots(name), f"{name}.iso")
        yield images


@pytest.fixture(scope="module")
def sp(server):
    """Its disk boots too, when nothing else was asked for."""
    with Lomd() as lomd:
        disk = next((lomd.state_dir / "hosts/host0").glob("disk0*"))
        subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", isos.grub_reboots("lom-disk"), disk],
                       check=True)
        must(lomd, "set /System/Memory installed_memory=512M")
        for device, name in NAMES.items():
            lomd.put_image(isos.grub_reboots(name), f"{name}.iso")
            must(lomd, f"set {device}/remote username={server.username} password={server.password}")
        yield lomd


def insert(sp, server, device, library):
    name = f"{NAMES[device]}.iso"
    must(sp, f"set {device}/remote server_URI={f'/SP/media/{name}' if library else server.uri(name)}",
         f"set {device} mode=remote")
    wait_for(sp, device, "status", "operational", 20)


def booted(console):
    return console.expect(r"lom-(?:disk|cd2|cd|usb)(?=\s)")[0]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_each_device_boots(sp, server, firmware):
    must(sp, f"set /System firmware={firmware}")
    for device, library in ((CD, False), (CD2, False), (USB, True)):
        insert(sp, server, device, library)
    with GuestConsole(sp) as console:
        def boots(*lines):
            """What comes up next, after the guest has rebooted by itself."""
            must(sp, *lines)
            console.send("\r")
            return booted(console)

        must(sp, 'set /HOST/bootmode script="boot rcdrom2"', "start -script /SYS")
        assert booted(console) == "lom-cd2"
        assert boots('set /HOST/bootmode script="boot rusbdisk"') == "lom-usb"
        # Each changes its image while the guest needs the other.
        insert(sp, server, CD2, library=True)
        assert boots('set /HOST/bootmode script="boot rcdrom2"') == "lom-cd2"
        insert(sp, server, USB, library=False)
        assert boots("set /HOST boot_device=usb") == "lom-usb"
        assert get(sp, "/HOST", "boot_device") == "default"
    power_off(sp)
