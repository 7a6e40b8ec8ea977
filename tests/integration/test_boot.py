"""Boot control: the ok prompt typed at, bootmode, boot_device on both firmwares, and real ISOs."""

import re
import subprocess

import pytest

from tests.support import isos
from tests.support.guest import GUESTS_WITH_IMAGES, GuestConsole, get, insert, must, power_off, screen_text, wait_for
from tests.support.image_server import ImageServer
from tests.support.lomd import Lomd, wait_until

pytestmark = GUESTS_WITH_IMAGES

CD_PATH = "/pci@0,0/usb@4/storage@1/disk@0,0"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        yield images


@pytest.fixture(scope="module")
def sp(server):
    """Its disk boots GRUB that prints lom-disk, by BIOS and UEFI."""
    with Lomd() as lomd:
        disk = next((lomd.state_dir / "hosts/host0").glob("disk0*"))
        subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", isos.grub_reboots("lom-disk"), disk],
                       check=True)
        must(lomd, "set /System/Memory installed_memory=512M")
        yield lomd


@pytest.fixture
def off(sp):
    power_off(sp)
    must(sp, 'set /HOST/bootmode script="" state=reset_nvram', "set /HOST boot_device=default", "set /System firmware=bios")
    yield sp
    power_off(sp)


@pytest.fixture
def hello(off, server):
    insert(off, server, server.add(isos.hello()))
    return off


@pytest.fixture
def console(off):
    with GuestConsole(off) as attached:
        yield attached


def to_ok(sp, console):
    """A power-on that stops at the ok prompt."""
    must(sp, 'set /HOST/bootmode script="setenv auto-boot? false"', "start -script /SYS")
    console.expect(r"\{0\} ok $")
    wait_for(sp, "/HOST", "status", "OpenBoot Running", 20)


# -- the ok prompt

def test_the_prompt_tells_the_truth(hello, console):
    to_ok(hello, console)
    assert get(hello, "/SYS", "power_state") == "On"
    aliases = dict(line.split() for line in console.ok("devalias").splitlines() if line)
    assert aliases["rcdrom"] == aliases["cdrom"] == CD_PATH
    assert aliases["disk"] == aliases["disk0"] and aliases["net"] == aliases["net0"]
    devices = console.ok("show-devs").split()
    assert {*aliases.values(), "/cpu@0", "/memory@0"} <= set(devices)
    shown = console.ok("printenv")
    assert re.search(r"^auto-boot\? +false +true$", shown, re.MULTILINE), shown
    assert re.search(r"^boot-device +disk cdrom net +disk cdrom net$", shown, re.MULTILINE), shown
    banner = console.ok("banner")
    for text in (get(hello, "/System", "serial_number"), get(hello, "/System", "host_primary_mac_address"), "512 MB"):
        assert text in banner
    assert "nonsense ?" in console.ok("nonsense")
    assert "Unknown option: shoe-size" in console.ok("setenv shoe-size 47")
    assert "Unknown device: tape" in console.ok("setenv boot-device tape")
    assert "Can't open boot device: tape" in console.ok("boot tape")


def test_variables_outlive_lomd_and_power(hello, console):
    to_ok(hello, console)
    assert re.search(r"boot-file = +-v -s", console.ok("setenv boot-file -v -s"))
    console.ok("setenv boot-device cdrom disk")
    console.close()
    hello.kill9()
    hello.start()
    wait_for(hello, "/HOST", "status", "OpenBoot Running", 10)
    with GuestConsole(hello) as again:
        again.expect(r"\{0\} ok $")
        assert re.search(r"boot-file = +-v -s\n", again.ok("printenv boot-file"))
        power_off(hello)
        must(hello, "start -script /SYS")
        again.expect(r"\{0\} ok $")
        assert re.search(r"boot-device = +cdrom disk\n", again.ok("printenv boot-device"))
        assert re.search(r"auto-boot\? = +false\n", again.ok("printenv auto-boot?"))
        again.ok("set-default boot-file")
        assert re.search(r"boot-file = *\n", again.ok("printenv boot-file"))
        assert "Setting NVRAM parameters to default values." in again.ok("set-defaults")
        assert re.search(r"boot-device = +disk cdrom net\n", again.ok("printenv boot-device"))
        assert re.search(r"auto-boot\? = +true\n", again.ok("printenv auto-boot?"))


def test_boot_names_its_device_and_boots_it(hello, console):
    to_ok(hello, console)
    console.ok("setenv auto-boot? true")
    console.send("boot cdrom\r")
    console.expect_exact(f"Boot device: {CD_PATH}  File and args: \r\n")
    console.expect("HELLO volume=LOMHELLO")
    wait_for(hello, "/HOST", "status", "Powered On", 10)
    # Not the CD again when the guest reboots by itself: it was asked for once.
    console.expect("READY")
    console.send("r")
    console.expect("lom-disk")
    for device, says in (("disk", "lom-disk"), ("disk0", "lom-disk"), ("rcdrom", "HELLO"), ("net", "iPXE")):
        power_off(hello)
        to_ok(hello, console)
        console.send(f"boot {device} -x y\r")
        console.expect(r"Boot device: (/\S+)  File and args: -x y\r\n")
        console.expect(says)


def test_reset_all_and_power_off(hello, console):
    to_ok(hello, console)
    console.send("reset-all\r")
    console.expect("reset-all\r\n")
    console.expect(r"\{0\} ok $")
    wait_for(hello, "/HOST", "status", "OpenBoot Running", 20)
    assert "auto-boot? = " in console.ok("printenv auto-boot?")
    console.send("power-off\r")
    wait_for(hello, "/HOST", "status", "Powered Off", 20)
    # A graceful stop cannot ask a guest that never ran.
    to_ok(hello, console)
    must(hello, "stop -script /SYS")
    wait_for(hello, "/HOST", "status", "Powered Off", 20)


def test_no_auto_boot_stops_a_guest_that_reboots_by_itself(hello, console):
    must(hello, 'set /HOST/bootmode script="setenv auto-boot? false; boot rcdrom"', "start -script /SYS")
    console.expect("READY")
    console.send("r")
    console.expect(r"\{0\} ok $")
    wait_for(hello, "/HOST", "status", "OpenBoot Running", 10)
    console.send("boot rcdrom\r")
    console.expect("READY")
    must(hello, "reset -script /SYS")
    console.expect(r"\{0\} ok $")


# -- /HOST/bootmode

def test_a_script_is_used_up_by_one_boot(hello, console):
    must(hello, 'set /HOST/bootmode script="setenv boot-file -a; printenv boot-file;boot rcdrom"')
    assert get(hello, "/HOST/bootmode", "script") == "setenv boot-file -a; printenv boot-file;boot rcdrom"
    must(hello, "start -script /SYS")
    console.expect(r"\{0\} ok setenv boot-file -a\r\nboot-file = +-a\r\n"
                   r"\{0\} ok printenv boot-file\r\nboot-file = +-a\r\n"
                   r"\{0\} ok boot rcdrom\r\nBoot device: /\S+  File and args: \r\n")
    console.expect("READY")
    assert get(hello, "/HOST/bootmode", "script") == ""
    console.send("r")
    console.expect("lom-disk")
    # Also one that is set while the guest runs.
    must(hello, 'set /HOST/bootmode script="boot rcdrom"')
    console.send("\r")
    console.expect("READY")
    assert get(hello, "/HOST/bootmode", "script") == ""


def test_a_script_of_several_lines(hello, console):
    done = hello.lom('set /HOST/bootmode script="printenv boot-device\nboot rcdrom"')
    assert done.returncode == 0, done.stdout
    must(hello, "start -script /SYS")
    console.expect(r"\{0\} ok printenv boot-device\r\nboot-device = +disk cdrom net\r\n\{0\} ok boot rcdrom\r\n")
    console.expect("READY")


def test_reset_nvram_is_for_one_boot_and_expires(hello, console):
    to_ok(hello, console)
    console.ok("setenv boot-device cdrom")
    power_off(hello)
    assert get(hello, "/HOST/bootmode", "expires") == ""
    must(hello, "set /HOST/bootmode state=reset_nvram")
    assert get(hello, "/HOST/bootmode", "state") == "reset_nvram"
    assert re.search(r"\d\d:\d\d:\d\d \d{4}", get(hello, "/HOST/bootmode", "expires"))
    to_ok(hello, console)
    assert get(hello, "/HOST/bootmode", "state") == "normal"
    assert get(hello, "/HOST/bootmode", "expires") == ""
    assert re.search(r"boot-device = +disk cdrom net\n", console.ok("printenv boot-device"))


def test_a_configuration_is_saved_and_booted_with_once(hello, console):
    must(hello, "set /HOST boot_order='cdrom net'", "create /HOST/domain/configs/install", "set /HOST boot_order=disk",
         "set /HOST/bootmode config=INSTALL")
    assert get(hello, "/HOST/bootmode", "config") == "install"
    assert hello.lom("delete -script /HOST/domain/configs/install").returncode == 2, "the next boot needs it"
    to_ok(hello, console)
    assert get(hello, "/HOST/bootmode", "config") == ""
    assert re.search(r"boot-device = +cdrom net\n", console.ok("printenv boot-device"))
    must(hello, "delete -script /HOST/domain/configs/install", "set /HOST/bootmode config=factory-default")
    power_off(hello)
    to_ok(hello, console)
    assert re.search(r"boot-device = +disk cdrom net\n", console.ok("printenv boot-device"))


# -- boot_device: one boot, on both firmwares

@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_boot_device_is_for_one_boot(off, server, firmware):
    insert(off, server, server.add(isos.grub_reboots("lom-cd")))
    must(off, f"set /System firmware={firmware}")
    with GuestConsole(off) as console:
        must(off, "set /HOST boot_device=cdrom", "start -script /SYS")
        console.expect(r"lom-cd\s")
        assert get(off, "/HOST", "boot_device") == "default"
        console.send("\r")  # the guest reboots by itself
        console.expect(r"lom-(cd|disk)\s")
        assert console.person.match[1] == "disk"
        must(off, "set /HOST boot_device=cdrom")  # while it runs: for its next boot
        console.send("\r")
        console.expect(r"lom-(cd|disk)\s")
        assert console.person.match[1] == "cd"
        assert get(off, "/HOST", "boot_device") == "default"
        must(off, "reset -script /SYS")
        console.expect(r"lom-(cd|disk)\s")
        assert console.person.match[1] == "disk"
    power_off(off)
    must(off, "set /System firmware=bios")


# -- what others have built

@pytest.mark.parametrize("name,says", [
    ("memtest", None),
    ("ipxe", "iPXE initialising devices"),
    ("grub_rescue", "lom-grub-rescue"),
    ("debian_installer", r"Linux version \d"),
])
def test_a_real_iso_boots(off, server, console, name, says):
    iso = getattr(isos, name)()
    insert(off, server, server.add(iso))
    must(off, "set /System/Memory installed_memory=1G", 'set /HOST/bootmode script="boot rcdrom"', "start -script /SYS")
    console.expect_exact(f"Boot device: {CD_PATH}")
    if says:
        console.expect(says)
    else:
        wait_until(lambda: any("Memtest86+" in line for line in screen_text(off)), 120, "its screen")
    power_off(off)
    must(off, "set /System/Memory installed_memory=512M")
