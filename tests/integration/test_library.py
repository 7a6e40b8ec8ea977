"""The image library: scp and sftp, load, quota, names, and its images in several devices of a running Linux."""

import hashlib
import os
import random
import signal
import subprocess

import pytest

from tests.support import isos
from tests.support.guest import GUESTS_WITH_IMAGES, GuestConsole, Linux, events, get, must, power_off, wait_for
from tests.support.image_server import HOME, ImageServer
from tests.support.lomd import PASSWORD, SSH_OPTIONS, Lomd, wait_until

LIBRARY = "/SP/media"
KVMS = "/SP/services/kvms"
CD, CD2, USB = f"{KVMS}/host_storage_device", f"{KVMS}/host_storage_device2", f"{KVMS}/host_usb_device"
LARGE = 200 << 20

pytestmark = GUESTS_WITH_IMAGES


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "large.iso"
    path.write_bytes(random.Random(1).randbytes(LARGE))
    return path


@pytest.fixture
def empty(sp):
    """The library, with nothing in it and room for everything."""
    for name in images(sp):
        must(sp, f"delete -script {LIBRARY}/{name}")
    must(sp, f"set {LIBRARY} quota=64G")
    return sp


def images(sp):
    """Names of what /SP/media shows."""
    lines = sp.lom(f"show -d targets {LIBRARY}").stdout.splitlines()
    return [line.strip() for line in lines[lines.index("    Targets:") + 1:] if line.strip()]


def arguments(sp, program, *words):
    return [program, *SSH_OPTIONS, "-P", str(sp.ports["ssh"]), *map(str, words)]


def scp(sp, *words):
    return subprocess.run(arguments(sp, "scp", *words), env=sp.ssh_environment(), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def sftp(sp, *lines):
    return subprocess.run(arguments(sp, "sftp", "root@127.0.0.1"), env=sp.ssh_environment(), capture_output=True,
                          text=True, input="".join(line + "\n" for line in lines), timeout=60)


# -- scp and sftp

def test_scp_brings_a_large_image_and_takes_it_back(empty, large, tmp_path):
    empty.put_image(large)
    assert images(empty) == ["large.iso"]
    target = f"{LIBRARY}/large.iso"
    assert get(empty, target, "size") == LARGE
    checksum = hashlib.sha256(large.read_bytes()).hexdigest()
    wait_until(lambda: get(empty, target, "sha256") == checksum, 30, "its checksum is computed")
    back = tmp_path / "back.iso"
    assert scp(empty, "root@127.0.0.1:large.iso", back).returncode == 0
    assert back.read_bytes() == large.read_bytes()
    again = scp(empty, large, "root@127.0.0.1:")  # an image is not written over
    assert again.returncode == 1 and "The image large.iso exists already; delete it first." in again.stderr, again
    assert get(empty, target, "sha256") == checksum


def test_the_connection_is_killed_in_the_middle(empty, large):
    copy = subprocess.Popen(arguments(empty, "scp", "-l", "80000", large, "root@127.0.0.1:half.iso"),
                            env=empty.ssh_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)
    incoming = empty.state_dir / "media/.incoming"
    wait_until(lambda: any(path.stat().st_size > 1 << 20 for path in incoming.glob("*/half.iso")), 20,
               "some of it has come")
    assert images(empty) == []
    os.killpg(copy.pid, signal.SIGKILL)
    copy.wait(10)
    wait_until(lambda: not list(incoming.iterdir()), 20, "what came is dropped")
    assert images(empty) == []


def test_a_quota_is_kept(empty, large):
    must(empty, f"set {LIBRARY} quota=100M")
    done = scp(empty, large, "root@127.0.0.1:")
    assert done.returncode == 1 and "large.iso does not fit" in done.stderr, done
    assert images(empty) == []


def test_who_lacks_the_role_is_told(empty, large):
    must(empty, f"create /SP/users/reader role=o password={PASSWORD}")
    done = scp(empty, large, "reader@127.0.0.1:")
    assert done.returncode != 0 and "needs the role" in done.stderr, done
    must(empty, "delete -script /SP/users/reader")
    assert images(empty) == []


def test_scp_of_old_is_refused_with_a_sentence(empty, large):
    done = scp(empty, "-O", large, "root@127.0.0.1:")
    assert done.returncode == 1 and "leave out scp's -O" in done.stderr, done


def test_sftp_sees_only_the_library_and_does_only_what_it_may(empty, tmp_path):
    own = tmp_path / "own.iso"
    own.write_bytes(b"x" * 50000)
    secret = empty.state_dir / "openlom.db"
    done = sftp(empty, f"put {own}", "rename own.iso new.iso", f"put {own} .hidden", f'put {own} "a b.iso"',
                "-mkdir folder", "-ln -s /etc/shadow link.iso", f"-get {secret} {tmp_path}/stolen",
                f"-get /etc/shadow {tmp_path}/stolen", f"-get /proc/self/environ {tmp_path}/stolen", "ls /usr", "pwd")
    assert "/library" in done.stdout and "bin" not in done.stdout, done
    assert done.stderr.count("An image's name has") == 2, done
    assert not (tmp_path / "stolen").exists()
    assert images(empty) == ["new.iso"]
    audit = empty.lom("show -script /SP/logs/audit/list").stdout
    assert "new.iso in /SP/media by SFTP" in audit  # put as such when the rename comes at once
    must(empty, f"set {CD2}/remote server_URI={LIBRARY}/new.iso", f"set {CD2} mode=remote")
    kept = sftp(empty, "rm new.iso")
    assert "in use by /SP/services/kvms/host_storage_device2" in kept.stderr, kept
    assert images(empty) == ["new.iso"]
    must(empty, f"set {CD2} mode=disabled")
    assert sftp(empty, "rm new.iso").stderr.count("in use") == 0
    assert images(empty) == []


# -- load

@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as running:
        running.add(isos.hello())
        whole = (running.home / "hello-LOMHELLO.iso").read_bytes()
        (running.home / "cut.iso").write_bytes(whole[:len(whole) // 2 // 2048 * 2048])
        yield running


def test_load_brings_an_image_and_says_why_not(empty, server):
    def load(name, password=server.password):
        uri = f"sftp://{server.username}@127.0.0.1:{server.port}{HOME}/{name}"
        return empty.lom(f"load -source {uri} {LIBRARY}", input=password + "\n")
    done = load("hello-LOMHELLO.iso")
    assert done.returncode == 0 and "Load successful" in done.stdout, done
    assert get(empty, f"{LIBRARY}/hello-LOMHELLO.iso", "volume_id") == "LOMHELLO"
    assert "exists already" in load("hello-LOMHELLO.iso").stdout
    assert load("none.iso").returncode == 4
    assert "cut short" in load("cut.iso").stdout
    must(empty, f"set {LIBRARY} quota=1K")
    assert load("cut.iso").returncode != 0
    assert images(empty) == ["hello-LOMHELLO.iso"]
    assert not list((empty.state_dir / "media/.incoming").iterdir())


# -- in the devices of a running Linux

@pytest.fixture(scope="class")
def linux(sp):
    must(sp, f"set {LIBRARY} quota=64G")
    sp.put_image(isos.demo(), "demo.iso")
    must(sp, f"set {CD}/remote server_URI={LIBRARY}/demo.iso", f"set {CD} mode=remote",
         "set /System/Memory installed_memory=512M", "set /HOST boot_device=cdrom")
    with GuestConsole(sp) as console:
        must(sp, "start -script /SYS")
        yield Linux(console).wait()
    power_off(sp)
    must(sp, *(f"set {device} mode=disabled" for device in (CD, CD2, USB)))


class TestLinux:
    """In order: each begins where the one before left the guest."""

    def test_one_image_in_two_drives(self, sp, linux, tmp_path):
        assert linux.get("ls /sys/block | grep -c ^sr").strip() == "2"
        must(sp, f"set {CD2}/remote server_URI={LIBRARY}/demo.iso", f"set {CD2} mode=remote")
        in_use = get(sp, f"{LIBRARY}/demo.iso", "in_use_by")
        assert CD in in_use and CD2 in in_use
        assert sp.lom(f"delete -script {LIBRARY}/demo.iso").returncode == 2
        wait_until(lambda: linux.run("dd if=/dev/sr1 of=/dev/null bs=2048 count=20 2>/dev/null")[0] == 0, 20,
                   "the second drive can be read")
        must(sp, f"set {CD2} mode=disabled")
        wait_until(lambda: linux.run("dd if=/dev/sr1 of=/dev/null bs=2048 count=20 2>/dev/null")[0] != 0, 20,
                   "the second drive is empty")

    def test_a_replacement_waits_for_a_locked_tray(self, sp, linux, tmp_path):
        other = tmp_path / "other.iso"
        other.write_bytes(bytes(1 << 20))
        sp.put_image(other)
        linux.get("mkdir -p /mnt && mount -t iso9660 -o ro /dev/sr0 /mnt")
        waits = sp.lom(f"set {CD}/remote server_URI={LIBRARY}/other.iso")
        assert waits.returncode == 0 and "locked the tray" in waits.stdout, waits
        assert get(sp, CD, "status") == "tray locked by guest"
        assert get(sp, f"{LIBRARY}/demo.iso", "in_use_by") == CD
        linux.get("umount /mnt")  # which unlocks the tray
        wait_for(sp, CD, "status", "operational", 20)
        assert get(sp, f"{LIBRARY}/other.iso", "in_use_by") == CD
        wait_until(lambda: linux.get("blockdev --getsize64 /dev/sr0 2>/dev/null || cat /sys/block/sr0/size")
                   .strip() in (str(1 << 20), str((1 << 20) // 512)), 20, "the guest sees the other one")

    def test_the_guest_ejects_it_by_itself(self, sp, linux):
        readable = "dd if=/dev/sr0 of=/dev/null bs=2048 count=20 2>/dev/null"
        linux.get("eject")
        wait_for(sp, CD, "status", "ejected by guest", 20)
        assert "The guest has ejected the image" in events(sp)[-1]
        must(sp, f"set {CD} mode=remote")
        assert get(sp, CD, "status") == "operational"
        wait_until(lambda: linux.run(readable)[0] == 0, 20, "it is in the drive again")
        linux.get("eject")
        wait_for(sp, CD, "status", "ejected by guest", 20)
        linux.get("eject -t")  # the guest takes it back
        wait_for(sp, CD, "status", "operational", 20)

    def test_a_mounted_image_stays_until_it_is_unmounted(self, sp, linux):
        must(sp, f"set {CD}/remote server_URI={LIBRARY}/demo.iso")
        mount = "mkdir -p /mnt; mount -t iso9660 -o ro /dev/sr0 /mnt"
        wait_until(lambda: linux.run(mount)[0] == 0, 20, "it is mounted")
        assert linux.run("eject")[0] != 0
        assert get(sp, CD, "status") == "operational"
        waits = sp.lom(f"set {CD} mode=disabled")
        assert waits.returncode == 0 and "locked the tray" in waits.stdout, waits
        assert get(sp, CD, "status") == "tray locked by guest"
        assert "The guest has locked the tray" in events(sp)[-1]
        linux.get("cmp /mnt/files/1MiB /mnt/files/1MiB && umount /mnt")
        wait_for(sp, CD, "status", "disabled", 20)

    def test_a_usb_disk_is_written_by_choice_only(self, sp, linux, tmp_path):
        disk = tmp_path / "disk.img"
        disk.write_bytes(bytes(8 << 20))
        sp.put_image(disk)
        must(sp, f"set {USB}/remote server_URI={LIBRARY}/disk.img", f"set {USB} mode=remote")
        wait_until(lambda: linux.run("test -b /dev/sda")[0] == 0, 20, "the guest sees the disk")
        assert linux.get("cat /sys/block/sda/ro").strip() == "1"
        must(sp, f"set {USB}/remote writable=true")
        assert get(sp, USB, "status") == "operational"
        wait_until(lambda: linux.run("test -b /dev/sda && grep -q 0 /sys/block/sda/ro")[0] == 0, 20,
                   "the disk can be written")
        refused = sp.lom(f"set {CD2}/remote server_URI={LIBRARY}/disk.img")
        must(sp, f"set {CD2} mode=remote")
        assert "may write to it" in get(sp, CD2, "status_detail"), refused
        linux.get("echo lom-was-here | dd of=/dev/sda bs=512 seek=1 conv=fsync 2>/dev/null")
        must(sp, f"set {CD2} mode=disabled", f"set {USB} mode=disabled", f"set {USB}/remote writable=false")
        wait_until(lambda: linux.run("test -b /dev/sda")[0] != 0, 20, "the disk is gone")
        content = (sp.state_dir / "media/disk.img").read_bytes()
        assert content[512:524] == b"lom-was-here"
        wait_until(lambda: get(sp, f"{LIBRARY}/disk.img", "sha256") == hashlib.sha256(content).hexdigest(), 20,
                   "the checksum is that of the new content")
