"""Bootable ISOs for tests, made from Debian packages on first use and kept in BUILD/isos.

Each function gives a pathlib.Path. What cannot be had here (a package server out of reach) skips
the calling test with the reason.
"""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("LOM_BUILD", REPOSITORY / "build"))
# Apart from what the compiler made: sanitizer builds share it.
CACHE = REPOSITORY / "build" / "isos"


def demo():
    """The demo Linux of ./run: BIOS and UEFI, volume id OPENLOM_DEMO (see demo/)."""
    path = REPOSITORY / "build" / "demo.iso"
    subprocess.run([REPOSITORY / "demo" / "build-iso", path], check=True, stdin=subprocess.DEVNULL)
    return path


def hello(volume_id="LOMHELLO"):
    """A CD that greets in real mode and echoes COM1: see hello.asm. BIOS only."""

    def make(folder, iso):
        subprocess.run(["nasm", "-f", "bin", HERE / "hello.asm", "-o", folder / "boot.bin"], check=True)
        mkisofs(iso, folder, volume_id, *boot_image("boot.bin"))

    return made(f"hello-{volume_id}.iso", make, HERE / "hello.asm")


def screen_guest():
    """A disk whose program does on the screen what keyboard and mouse say: see screen_guest.asm."""

    def make(folder, disk):
        subprocess.run(["nasm", "-f", "bin", HERE / "screen_guest.asm", "-o", disk], check=True)

    return made("screen-guest.img", make, HERE / "screen_guest.asm")


def memtest():
    """Memtest86+ as its package has it; its screen says "Memtest86+". BIOS and UEFI."""
    return packaged("memtest86+", "/usr/lib/memtest86+/memtest86+x64.iso")


def ipxe():
    """iPXE as its package has it; prints "iPXE initialising devices". BIOS only."""
    return packaged("ipxe", "/usr/lib/ipxe/ipxe.iso")


def grub_rescue():
    """What grub-mkrescue makes: BIOS and UEFI. Prints "lom-grub-rescue" and its prompt on COM1."""

    def make(folder, iso):
        (folder / "boot/grub").mkdir(parents=True)
        (folder / "boot/grub/grub.cfg").write_text(
            "serial --unit=0 --speed=115200\n"
            "terminal_input serial console\n"
            "terminal_output serial console\n"
            "echo lom-grub-rescue\n")
        subprocess.run(["grub-mkrescue", "-o", iso, folder, "--", "-volid", "LOM_GRUB"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return made("grub-rescue.iso", make)


def grub_reboots(text):
    """Prints `text` on COM1 and reboots at Enter. Boots from a CD and from a disk, by BIOS and UEFI."""

    def make(folder, iso):
        (folder / "boot/grub").mkdir(parents=True)
        (folder / "boot/grub/grub.cfg").write_text(
            "serial --unit=0 --speed=115200\n"
            "terminal_input serial console\n"  # UEFI takes bytes from COM1 before GRUB sees them
            "terminal_output serial\n"
            f"echo {text}\nread key\nreboot\n")
        subprocess.run(["grub-mkrescue", "-o", iso, folder, "--", "-volid", text.upper().replace("-", "_")],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return made(f"grub-{text}.iso", make)


def debian_installer():
    """Debian's installer (netboot kernel and initrd) behind ISOLINUX, on COM1. BIOS only, 1 GiB."""
    package = "debian-installer-12-netboot-amd64"

    def make(folder, iso):
        unpack(package, folder / "package")
        images = folder / "package/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"
        tree = folder / "cd"
        (tree / "isolinux").mkdir(parents=True)
        for name in ("linux", "initrd.gz"):
            shutil.copy(images / name, tree / name)
        shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", tree / "isolinux")
        shutil.copy("/usr/lib/syslinux/modules/bios/ldlinux.c32", tree / "isolinux")
        (tree / "isolinux/isolinux.cfg").write_text(
            "PROMPT 0\nDEFAULT di\nLABEL di\n  KERNEL /linux\n  INITRD /initrd.gz\n"
            "  APPEND console=ttyS0,115200n8 TERM=vt102 --- console=ttyS0\n")
        mkisofs(iso, tree, "LOM_DI", *boot_image("isolinux/isolinux.bin"), "-boot-info-table")

    return made("debian-installer.iso", make)


def live():
    """A live CD of the usual shape and size, for benches: see live_iso."""
    if not shutil.which("mksquashfs"):
        pytest.skip("mksquashfs is missing: apt-get install squashfs-tools")

    def make(folder, iso):
        subprocess.run([HERE / "live_iso", folder, iso], check=True, stdin=subprocess.DEVNULL)

    return made("live.iso", make, HERE / "live_iso")


def disc(volume_id, size):
    """Bytes that nothing can have cached, with an ISO 9660 volume descriptor where it belongs."""
    data = bytearray(random.Random(volume_id).randbytes(size))
    data[32768:32774] = b"\x01CD001"
    data[32808:32840] = volume_id.encode().ljust(32)
    return bytes(data)


# ---- how they are made


def made(name, make, *sources):
    """CACHE/name, made by make(folder, iso) unless it is there and newer than its sources."""
    iso = CACHE / name
    newest = max(path.stat().st_mtime for path in (pathlib.Path(__file__), *sources))
    if iso.exists() and iso.stat().st_mtime >= newest:
        return iso
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        folder = pathlib.Path(work) / "tree"
        folder.mkdir()
        make(folder, pathlib.Path(work) / "made.iso")
        (pathlib.Path(work) / "made.iso").replace(iso)
    return iso


def mkisofs(iso, tree, volume_id, *options):
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", volume_id, "-o", iso, *options, tree],
                   check=True, stderr=subprocess.DEVNULL)


def boot_image(path):
    return ("-b", path, "-no-emul-boot", "-boot-load-size", "4", "-c", "boot.cat")


def packaged(package, path):
    if not os.path.exists(path):
        pytest.skip(f"{path} is missing: apt-get install {package}")
    return pathlib.Path(path)


def unpack(package, folder):
    """A package's files, without installing it."""
    script = '. "$1/setup/common.sh"; download_package "$1/build/cache" "$2"'
    found = subprocess.run(["bash", "-euc", script, "isos", REPOSITORY, package], text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if found.returncode != 0:
        pytest.skip(f"the package {package} cannot be downloaded here")
    subprocess.run(["dpkg-deb", "-x", found.stdout.strip(), folder], check=True)
