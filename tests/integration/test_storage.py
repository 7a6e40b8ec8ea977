"""The remote image through lomd: its statuses, insertion and ejection under a running Linux, secrets."""

import json
import pathlib
import subprocess

import pytest

from tests.support import isos
from tests.support.guest import (GUESTS_WITH_IMAGES, STORAGE, GuestConsole, Linux, events, get, insert, must,
                                 power_off, rows_of, wait_for)
from tests.support.image_server import ImageServer, descendants, free_port
from tests.support.lomd import Lomd, wait_until

REMOTE = f"{STORAGE}/remote"

pytestmark = GUESTS_WITH_IMAGES


def make_key(folder, name):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    return folder / name


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("key"), "account")


@pytest.fixture(scope="module")
def server(tmp_path_factory, key):
    log = tmp_path_factory.mktemp("server") / "sshd.log"
    with ImageServer(log, authorized_key=key.with_suffix(".pub").read_text()) as images:
        images.add(isos.hello())
        images.add(isos.demo())
        (images.home / "empty.iso").touch()
        (images.home / "short.iso").write_bytes(b"x" * 1000)
        (images.home / "folder").mkdir()
        (images.home / "private.iso").write_bytes(b"x" * 40960)
        (images.home / "private.iso").chmod(0o600)
        (images.home / "big.iso").write_bytes(isos.disc("BIGDISC", 48 << 20))
        yield images


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        must(lomd, f"set {STORAGE} cache_size=4M")  # no image is soon here as a whole
        yield lomd


@pytest.fixture
def remote(sp, server):
    """With the account's password; no image yet."""
    must(sp, f"set {STORAGE} mode=disabled",
         f"set {REMOTE} username={server.username} password={server.password} ssh_key='' server_URI=''",
         f"set {STORAGE} mode=remote")
    yield sp
    must(sp, f"set {STORAGE} mode=disabled")


def storage(sp):
    return {name: get(sp, STORAGE, name) for name in ("mode", "status", "status_detail", "size", "volume_id")}


# -- statuses

def test_nothing_wanted_nothing_failed(sp):
    assert storage(sp) == {"mode": "disabled", "status": "disabled", "status_detail": "", "size": "", "volume_id": ""}
    must(sp, f"set {STORAGE} mode=remote")
    assert get(sp, STORAGE, "status") == "not configured"
    assert "server_URI" in get(sp, STORAGE, "status_detail")
    must(sp, f"set {STORAGE} mode=disabled")


def test_operational(remote, server):
    must(remote, f"set {REMOTE} server_URI={server.uri('hello-LOMHELLO.iso')}")
    now = storage(remote)
    assert (now["status"], now["volume_id"]) == ("operational", "LOMHELLO"), now
    assert now["size"].endswith("MB")
    fingerprint = get(remote, REMOTE, "host_key_fingerprint")
    told = subprocess.run(["ssh-keygen", "-lf", server._own / "host_key"], capture_output=True, text=True, check=True)
    assert fingerprint and fingerprint in told.stdout
    # ILOM's colon before the path means the same.
    must(remote, f"set {REMOTE} server_URI=" + server.uri("hello-LOMHELLO.iso").replace("/export", ":/export"))
    assert get(remote, STORAGE, "status") == "operational"


def test_taking_an_image_out_is_no_problem(remote, server):
    must(remote, f"set {REMOTE} server_URI={server.uri('hello-LOMHELLO.iso')}", f"set {STORAGE} mode=disabled")
    rows = rows_of(json.loads(remote.lom("show -o json /SP/logs/event/list").stdout))
    last = next(row for row in rows if "hello-LOMHELLO.iso: disabled" in row["Description"])
    assert last["Severity"] == "info", last


@pytest.mark.parametrize("change,status,says", [
    ("server_URI={uri}/nothing.iso", "no such file", "nothing.iso"),
    ("server_URI={uri}/folder", "not a regular file", "folder"),
    ("server_URI={uri}/empty.iso", "too short", "empty.iso"),
    ("server_URI={uri}/short.iso", "too short", "short.iso"),
    ("server_URI={uri}/private.iso", "permission denied", "private.iso"),
    ("username=nobody server_URI={uri}/big.iso", "login refused", "127.0.0.1"),
    ("password=wrong-guess-1 server_URI={uri}/big.iso", "login refused", "127.0.0.1"),
    ("server_URI=sshfs://127.0.0.1:{closed}:/x.iso", "connection refused", "Nothing listens"),
    ("server_URI=sshfs://no-such-host.invalid:/x.iso", "unknown host", "no-such-host.invalid"),
])
def test_what_is_wrong_is_said_within_ten_seconds(remote, server, change, status, says):
    change = change.format(uri=server.uri("x").removesuffix("/x"), closed=free_port())
    must(remote, f"set {REMOTE} {change}")
    wait_for(remote, STORAGE, "status", status, 10)
    detail = get(remote, STORAGE, "status_detail")
    assert says in detail and detail.endswith("."), detail
    assert any(f": {status}." in text for text in events(remote)[-3:])


def test_another_host_key_is_refused(remote, server, tmp_path):
    must(remote, f"set {REMOTE} server_URI={server.uri('big.iso')}")
    assert get(remote, STORAGE, "status") == "operational"
    must(remote, f"set {STORAGE} mode=disabled")
    own = server._own / "host_key"
    kept = own.read_bytes()
    server.stop()
    own.write_bytes(make_key(tmp_path, "other").read_bytes())
    server.start()
    try:
        must(remote, f"set {STORAGE} mode=remote")
        wait_for(remote, STORAGE, "status", "host key changed", 10)
        assert len(get(remote, STORAGE, "status_detail")) > 40
        assert get(remote, STORAGE, "volume_id") == ""
        must(remote, f"set {REMOTE} forget_host_key=true")
        wait_for(remote, STORAGE, "status", "operational", 10)
    finally:
        must(remote, f"set {STORAGE} mode=disabled")
        server.stop()
        own.write_bytes(kept)
        server.start()
    must(remote, f"set {STORAGE} mode=remote")
    wait_for(remote, STORAGE, "status", "host key changed", 10)
    must(remote, f"set {REMOTE} forget_host_key=true")
    wait_for(remote, STORAGE, "status", "operational", 10)


def test_a_private_key_logs_in(remote, server, key):
    one_line = key.read_text().strip().replace("\n", "\\n")
    must(remote, f"set {REMOTE} password='' ssh_key='{one_line}' server_URI={server.uri('big.iso')}")
    wait_for(remote, STORAGE, "status", "operational", 10)
    assert get(remote, STORAGE, "volume_id") == "BIGDISC"
    secret = key.read_text().splitlines()[3]  # the first ones are the same in every key
    assert_hidden(remote, [secret])


def test_the_password_is_nowhere(remote, server):
    must(remote, f"set {REMOTE} server_URI={server.uri('big.iso')}")
    wait_for(remote, STORAGE, "status", "operational", 10)
    assert_hidden(remote, [server.password])


def assert_hidden(sp, secrets):
    """In no argument, environment, log or answer. Bytes: logs hold what guests print."""
    looked_at = {
        "show": sp.lom("show -level all /").stdout.encode(),
        "json": sp.lom("show -level all -o json /").stdout.encode(),
        "audit": sp.lom("show /SP/logs/audit/list").stdout.encode(),
        "event": sp.lom("show /SP/logs/event/list").stdout.encode(),
        "lomd's log": sp.log.read_bytes(),
    }
    processes = [sp.process.pid, *descendants(sp.process.pid)]
    assert any(b"lom-media" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes)
    for pid in processes:
        for name in ("cmdline", "environ"):
            looked_at[f"{name} of {pid}"] = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    for folder in (sp.run_dir, sp.state_dir):
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.endswith(".iso") and "sqlite" not in path.name and ".db" not in path.name:
                looked_at[str(path)] = path.read_bytes()
    for where, content in looked_at.items():
        for secret in secrets:
            assert secret.encode() not in content, f"a secret in {where}"


# -- under a running Linux

@pytest.fixture(scope="class")
def linux(sp, server):
    insert(sp, server, server.uri("demo.iso"))
    must(sp, "set /System/Memory installed_memory=512M", 'set /HOST/bootmode script="boot rcdrom"')
    with GuestConsole(sp) as console:
        must(sp, "start -script /SYS")
        yield Linux(console).wait()
    power_off(sp)
    must(sp, f"set {STORAGE} mode=disabled")


def read_disc(linux, skip=16):
    return linux.run(f"dd if=/dev/sr0 bs=2048 skip={skip} count=1 of=/tmp/sector 2>/dev/null")[0]


def volume_id(linux):
    return linux.get("tail -c +41 /tmp/sector | head -c 32").strip()


class TestLinux:
    """In order: each begins where the one before left the guest."""

    def test_it_sees_the_image(self, sp, linux):
        assert read_disc(linux) == 0
        assert volume_id(linux) == get(sp, STORAGE, "volume_id") == "OPENLOM_DEMO"
        assert "CD-ROM" in linux.get("cat /sys/block/sr0/device/model")

    def test_a_locked_tray_is_forced_by_choice_only_and_another_inserted(self, sp, server, linux):
        linux.get("mkdir -p /mnt && mount -t iso9660 -o ro /dev/sr0 /mnt")
        assert sp.lom(f"set {STORAGE} force_eject=true").returncode == 2  # nothing waits for the guest
        waits = sp.lom(f"set {STORAGE} mode=disabled")
        assert waits.returncode == 0 and "locked the tray" in waits.stdout, waits
        assert get(sp, STORAGE, "status") == "tray locked by guest"
        assert read_disc(linux, skip=17) == 0
        must(sp, f"set {STORAGE} mode=remote")  # it may keep it
        assert get(sp, STORAGE, "status") == "operational"
        assert read_disc(linux, skip=18) == 0
        must(sp, f"set {STORAGE} mode=disabled", f"set {STORAGE} force_eject=true")
        wait_until(lambda: read_disc(linux, skip=17) != 0, 20, "the guest reads no more")
        linux.run("umount /mnt")
        assert get(sp, "/HOST", "status") == "Powered On"
        assert get(sp, STORAGE, "status") == "disabled"
        # Too small a cache for all of it: the next test is to need the server.
        must(sp, f"set {STORAGE} cache_size=8M", f"set {REMOTE} server_URI={server.uri('big.iso')}",
             f"set {STORAGE} mode=remote")
        wait_for(sp, STORAGE, "status", "operational", 10)
        wait_until(lambda: read_disc(linux) == 0, 20, "the guest reads again")
        assert volume_id(linux) == "BIGDISC"
        size = int(linux.get("cat /sys/block/sr0/size"))
        assert size * 512 == 48 << 20

    def test_it_waits_for_a_server_that_comes_back(self, sp, server, linux):
        server.stop()
        wait_for(sp, STORAGE, "status", "reconnecting", 20)
        assert len(get(sp, STORAGE, "status_detail")) > 20
        linux.console.send("dd if=/dev/sr0 bs=2048 skip=20000 count=2000 2>/dev/null | md5sum; echo re'ad'\r")
        wait_for(sp, "/HOST", "status", "Host stopped", 40)
        assert "image" in get(sp, "/HOST", "status_detail")
        server.start()
        wait_for(sp, STORAGE, "status", "operational", 30)
        wait_for(sp, "/HOST", "status", "Powered On", 20)
        linux.console.expect(r"([0-9a-f]{32})  -\r\nread\r\n", 60)
        told = linux.console.person.match[1]
        part = (server.home / "big.iso").read_bytes()[20000 * 2048:22000 * 2048]
        assert told == subprocess.run(["md5sum"], input=part, capture_output=True).stdout[:32].decode()
