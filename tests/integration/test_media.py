"""lom-media against a real sshd, through a real FUSE mount."""

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parents[1] / "support"
from tests.support import sshd as sshd_module
from tests.support.lom_media import PROGRAM, Background, LomMedia, mounted
from tests.support.sshd import Sshd, free_port

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if not os.path.exists("/dev/fuse"):
    pytest.skip("/dev/fuse is missing", allow_module_level=True)
if sshd_module.missing():
    pytest.skip(sshd_module.missing(), allow_module_level=True)

MIB = 1 << 20
VOLUME = "LOM TEST DISC"


def image_bytes(size=24 * MIB + 12345, seed=1):
    """Random bytes with an ISO 9660 volume descriptor where it belongs."""
    data = bytearray(random.Random(seed).randbytes(size))
    data[32768:32774] = b"\x01CD001"
    data[32808:32840] = VOLUME.encode().ljust(32)
    return bytes(data)


IMAGE = image_bytes()


def sha256_of(path):
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(
            hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


def pread(path, size, offset):
    """Past the kernel's page cache, so that lom-media is asked."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    """One server for the tests that do not break it."""
    with Sshd(tmp_path_factory.mktemp("server")) as running:
        running.image = running.put("image.iso", IMAGE)
        yield running


@pytest.fixture(name="own_server")
def own_server_fixture(tmp_path, server):
    """A server that the test may break; shares the account and the image."""
    with Sshd(tmp_path, account=server) as running:
        running.image = server.put("own.iso", IMAGE)
        yield running


@pytest.fixture(name="start")
def start_fixture(tmp_path):
    """Starts lom-media processes and ends them with the test."""
    started = []

    def start(*args, **kwargs):
        folder = tmp_path / f"media{len(started)}"
        folder.mkdir(exist_ok=True)
        started.append(LomMedia(kwargs.pop("folder", folder), *args, **kwargs))
        return started[-1]

    yield start
    for media in started:
        media.close()


# Reading


def test_whole_image_by_password(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()
    assert os.path.getsize(media.file) == len(IMAGE)
    assert sha256_of(media.file) == hashlib.sha256(IMAGE).hexdigest()


def test_key_login_and_user_in_uri(server, start):
    credentials = {"ssh_key": server.private_key.read_text()}
    media = start(server.uri(server.image, user=server.user), credentials).wait_ready()
    assert pread(media.file, 4096, 5 * MIB) == IMAGE[5 * MIB:5 * MIB + 4096]


def test_rsa_key_in_pem_form(server, start, tmp_path):
    key = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f",
                    str(key)], check=True)
    with open(server.authorized_keys, "a", encoding="utf-8") as keys:
        keys.write((tmp_path / "rsa.pub").read_text())
    start(server.uri(server.image),
          {"username": server.user, "ssh_key": key.read_text()}).wait_ready()


def test_plain_path_without_ilom_colon(server, start):
    uri = f"sftp://{server.user}@127.0.0.1:{server.port}{server.image}"
    start(uri, server.credentials(), control=False).wait_ready()


def test_random_reads_with_a_small_cache(server, start):
    media = start(server.uri(server.image), server.credentials(),
                  options=["--cache-size", str(2 * MIB)]).wait_ready()
    dice = random.Random(7)
    for _ in range(200):
        offset = dice.randrange(len(IMAGE) + 100000)
        size = dice.choice([1, 512, 2048, 65536, 300000, 2 * MIB])
        assert pread(media.file, size, offset) == IMAGE[offset:offset + size]


def test_parallel_readers(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()

    def reader(seed):
        dice = random.Random(seed)
        for _ in range(50):
            offset = dice.randrange(len(IMAGE))
            assert pread(media.file, 50000, offset) == IMAGE[offset:offset + 50000]

    for running in [Background(lambda seed=seed: reader(seed)) for seed in range(4)]:
        running.result(60)


def test_read_only_and_readable_by_everybody(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()
    with pytest.raises(OSError):
        os.open(media.file, os.O_RDWR)
    media.folder.chmod(0o755)
    path = str(media.file)
    for parent in media.file.parents:
        if not parent.stat().st_mode & 0o005 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    read = subprocess.run(["/usr/sbin/runuser", "-u", "nobody", "--", "head", "-c", "10", path],
                          check=True, capture_output=True)
    assert read.stdout == IMAGE[:10]


def test_rekeying(server, start, tmp_path):
    with Sshd(tmp_path, account=server, options=["RekeyLimit 1M"]) as rekeying:
        media = start(rekeying.uri(server.image), server.credentials()).wait_ready()
        assert sha256_of(media.file) == hashlib.sha256(IMAGE).hexdigest()


# Control socket


def test_report_and_counters(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()
    report = media.wait_status("operational")
    assert report["size"] == len(IMAGE)
    assert report["volume_id"] == VOLUME
    assert report["host_key_type"] == "ssh-ed25519"
    assert report["host_key_fingerprint"] == server.fingerprint()
    assert report["uri"] == server.uri(server.image)
    assert report["detail"].endswith(".")
    assert oct(os.stat(media.control_path).st_mode & 0o777) == "0o600"
    pread(media.file, 10 * MIB, 0)
    report = media.control.wait(lambda r: r["bytes_read"] >= 10 * MIB)
    assert server.password not in str(media.control.reports)


def test_bad_input_on_the_control_socket_is_ignored(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()
    media.wait_status("operational")
    media.control.socket.sendall(b"\0\xff\n{\n[]\n{\"command\":1}\n{\"command\":\"dance\"}\n" +
                                 b"[" * 100000 + b"\n")
    other = media.connect_control()
    assert other.wait(lambda r: True)["status"] == "operational"
    other.close()
    assert pread(media.file, 10, 0) == IMAGE[:10]


def test_eject_refuses_at_once(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.kill_sessions(signal.SIGSTOP)
    blocked = Background(lambda: pread(media.file, 4096, 20 * MIB))
    time.sleep(0.3)  # not a wait for anything: the read shall be under way
    began = time.monotonic()
    media.control.command("eject")
    with pytest.raises(OSError) as refused:
        blocked.result(5)
    assert refused.value.errno == errno.EIO
    with pytest.raises(OSError):
        pread(media.file, 4096, 22 * MIB)
    assert time.monotonic() - began < 3
    assert media.control.wait(lambda r: r["ejected"])
    own_server.kill_sessions(signal.SIGCONT)


def test_stop_command(server, start):
    media = start(server.uri(server.image), server.credentials()).wait_ready()
    media.wait_status("operational")
    media.control.command("stop")
    assert media.process.wait(5) == 0
    assert not mounted(media.file)


# Failures at the start


def failing(server, start, uri=None, credentials=None, **kwargs):
    return start(uri or server.uri(server.image),
                 server.credentials() if credentials is None else credentials, **kwargs)


def bad_uris(server):
    home = server.home
    (home / "folder").mkdir(exist_ok=True)
    server.put("empty.iso", b"")
    server.put("short.iso", b"x" * 2047)
    server.put("secret.iso", IMAGE[:MIB], mode=0)
    if not (home / "fifo").exists():
        os.mkfifo(home / "fifo", 0o666)
    return {
        "no such file": server.uri(home / "missing.iso"),
        "not a regular file": server.uri(home / "folder"),
        "too short": server.uri(home / "empty.iso"),
        "permission denied": server.uri(home / "secret.iso"),
        "connection refused": f"sshfs://127.0.0.1:{free_port()}:/x.iso",
        "unknown host": "sshfs://no-such-host.invalid:/x.iso",
    }


CASES = ["no such file", "not a regular file", "too short", "permission denied",
         "connection refused", "unknown host"]


@pytest.mark.parametrize("status", CASES)
def test_failure_is_reported_on_the_control_socket(server, start, status):
    media = failing(server, start, bad_uris(server)[status])
    report = media.wait_status(status)
    assert report["detail"].endswith(".")
    assert media.process.poll() is None
    assert not mounted(media.file)
    assert media.terminate() == 0


@pytest.mark.parametrize("status", CASES)
def test_failure_without_control_ends_with_a_sentence(server, start, status):
    code, errors = failing(server, start, bad_uris(server)[status], control=False).end(15)
    assert code == 1
    assert f"lom-media: {status}: " in errors
    assert server.password not in errors


def test_a_fifo_is_not_opened(server, start):
    bad_uris(server)
    failing(server, start, server.uri(server.home / "fifo")).wait_status("not a regular file")
    failing(server, start, server.uri(server.home / "short.iso")).wait_status("too short")


@pytest.mark.parametrize("credentials", [
    {"password": "wrong"}, {"password": ""}, {"ssh_key": "garbage"}, {"username": "nobody-here"},
    {"username": ""}])
def test_login_refused(server, start, credentials):
    media = failing(server, start, credentials={**server.credentials(), **credentials}
                    if "ssh_key" not in credentials else {"username": server.user, **credentials})
    report = media.wait_status("login refused")
    assert "127.0.0.1" in report["detail"]
    assert server.password not in str(report)


def test_wrong_password_is_not_hammered(own_server, start):
    media = failing(own_server, start, credentials={"username": own_server.user, "password": "no"})
    media.wait_status("login refused")
    time.sleep(4)  # a fault would show as more tries in this span
    tries = own_server.log().count("Failed password")
    assert tries == 1


@pytest.mark.parametrize("uri", ["", "x", "gopher://h/x", "sshfs://h/../x", "sshfs://h/a\nb",
                                 "sshfs://-oProxyCommand=x/y", "sshfs://u:pw@h/x"])
def test_bad_uri_exits_with_2(start, uri):
    code, errors = start(uri, {}, control=False).end()
    assert code == 2
    assert errors
    assert "pw" not in errors.replace("password", "")


def test_bad_credentials_exit_with_2(server, start):
    for credentials in ["", "[]", "{\"password\":1}", "{" * 70000]:
        if len(credentials) > 65000:
            credentials = "{\"password\":\"" + "x" * 65000  # more than a pipe would take
        code, errors = start(server.uri(server.image), credentials, control=False).end()
        assert (code, "credentials" in errors) == (2, True)


def test_bad_mount_points(server, tmp_path):
    for file in (tmp_path, tmp_path / "missing", Path("/dev/null")):
        run = subprocess.run([str(PROGRAM), server.uri(server.image), str(file), "--allow-loopback"], timeout=10,
                             capture_output=True, check=False)
        assert run.returncode == 1
        assert b"Cannot serve the image at" in run.stderr


def test_connects_when_the_server_appears(own_server, start):
    own_server.stop()
    media = failing(own_server, start)
    media.wait_status("connection refused")
    own_server.start()
    media.wait_status("operational", 10)
    media.wait_ready()


def test_a_host_that_swallows_packets_is_unreachable(start):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(4):  # fills the queue that nobody empties; the kernel then drops SYNs
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            waiting.append(client)
        media = start(f"sshfs://127.0.0.1:{full.getsockname()[1]}:/x.iso", {"username": "u"})
        media.wait_status("unreachable")
        for client in waiting:
            client.close()


# Host keys


def test_host_key_is_remembered_and_a_change_refused(own_server, start, tmp_path):
    known_hosts = tmp_path / "known_hosts"
    media = start(own_server.uri(own_server.image), own_server.credentials(),
                  known_hosts=known_hosts).wait_ready()
    assert media.terminate() == 0
    assert f"[127.0.0.1]:{own_server.port} ssh-ed25519 " in known_hosts.read_text()
    remembered = known_hosts.read_bytes()

    start(own_server.uri(own_server.image), own_server.credentials(),
          known_hosts=known_hosts).wait_ready()
    for key_type in ("ed25519", "rsa"):
        own_server.change_host_key(key_type)
        own_server.restart()
        media = start(own_server.uri(own_server.image), own_server.credentials(),
                      known_hosts=known_hosts)
        report = media.wait_status("host key changed")
        assert own_server.fingerprint() in report["detail"]
        assert known_hosts.read_bytes() == remembered
        assert "Accepted password" not in own_server.log().split("Server listening")[-1]


def test_unremembered_key_is_shown(server, start):
    media = start(server.uri(server.image), server.credentials(), control=False).wait_ready()
    media.terminate()
    assert server.fingerprint() in media.errors()


def test_host_key_change_during_an_outage(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.change_host_key()
    own_server.restart()
    media.wait_status("host key changed")


# Outages


def test_idle_loss_shows_and_heals(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.stop()
    own_server.kill_sessions()
    media.wait_status("reconnecting", 3)
    assert pread(media.file, 4096, 0) == IMAGE[:4096]  # cached blocks are served meanwhile
    own_server.start()
    media.wait_status("operational", 5)


def test_sessions_killed_while_reading(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials(),
                  options=["--cache-size", str(2 * MIB)]).wait_ready()
    media.wait_status("operational")
    reading = Background(lambda: [sha256_of(media.file) for _ in range(8)
                                  if pread(media.file, 1, 0)])
    for _ in range(10):
        time.sleep(0.15)  # spreads the blows over the reading
        own_server.kill_sessions()
    wanted = hashlib.sha256(IMAGE).hexdigest()
    assert reading.result(60) == [wanted] * 8


def test_a_read_waits_for_the_server_to_come_back(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.stop()
    own_server.kill_sessions()
    media.wait_status("reconnecting")
    reading = Background(lambda: pread(media.file, 100000, 20 * MIB))
    time.sleep(2)  # the length of the outage
    own_server.start()
    assert reading.result(6) == IMAGE[20 * MIB:20 * MIB + 100000]


def test_a_read_fails_after_20_seconds_once(own_server, start):
    """Longer would freeze QEMU; and the kernel's second try of the page must not wait again."""
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.stop()
    own_server.kill_sessions()
    began = time.monotonic()
    with pytest.raises(OSError) as refused:
        pread(media.file, 300000, 18 * MIB)
    assert refused.value.errno == errno.EIO
    assert 18 < time.monotonic() - began < 24
    media.wait_status("reconnecting")
    own_server.start()
    media.wait_status("operational", 5)
    assert pread(media.file, 300000, 18 * MIB) == IMAGE[18 * MIB:18 * MIB + 300000]


def test_a_silent_server_is_noticed_within_10_seconds(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    stopped = own_server.sessions()
    own_server.kill_sessions(signal.SIGSTOP)
    media.control.wait(lambda r: r["status"] == "reconnecting", 11)
    media.wait_status("operational", 5)  # the listener still lives: a new session
    for pid in stopped:
        os.kill(pid, signal.SIGKILL)
    assert sha256_of(media.file) == hashlib.sha256(IMAGE).hexdigest()


def test_an_idle_connection_is_kept(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    time.sleep(12)  # longer than the silence that counts as loss
    assert {r["status"] for r in media.control.reports} <= {"connecting", "operational"}
    assert own_server.log().count("Accepted password") == 1


@pytest.mark.parametrize("change", ["other bytes", "same size and time", "shorter", "gone"])
def test_file_replaced_during_an_outage(own_server, start, change):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    pread(media.file, 4 * MIB, 0)
    own_server.stop()
    own_server.kill_sessions()
    media.wait_status("reconnecting")
    path = Path(own_server.image)
    before = path.stat()
    if change == "gone":
        path.unlink()
    else:
        other = image_bytes(seed=2)
        path.write_bytes(other[:20 * MIB] if change == "shorter" else other)
        times = (before.st_atime_ns, before.st_mtime_ns + (
            0 if change == "same size and time" else 5_000_000_000))
        os.utime(path, ns=times)
    own_server.start()
    media.wait_status("no such file" if change == "gone" else "image changed", 10)
    began = time.monotonic()
    with pytest.raises(OSError) as refused:
        pread(media.file, 4096, 16 * MIB)
    assert refused.value.errno == errno.EIO
    assert time.monotonic() - began < (25 if change == "gone" else 2)


def test_file_cut_while_it_is_read(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    os.truncate(own_server.image, 12 * MIB)
    with pytest.raises(OSError):
        pread(media.file, 4096, 20 * MIB)
    media.wait_status("image changed")


# Servers that speak SFTP badly


@pytest.fixture(name="odd_server")
def odd_server_fixture(tmp_path, server):
    """Makes servers whose sftp subsystem is tests/support/odd_sftp.py in some mode."""
    started = []
    script = server.put("odd_sftp.py", (SUPPORT / "odd_sftp.py").read_bytes())

    def make(mode):
        odd = Sshd(tmp_path, account=server, sftp=f"/usr/bin/python3 {script} {mode}")
        started.append(odd)
        return odd.start()

    yield make
    for odd in started:
        odd.close()


def resident_mib(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_short_replies_in_any_order(odd_server, server, start):
    odd = odd_server("short")
    media = start(odd.uri(server.image), odd.credentials()).wait_ready()
    assert sha256_of(media.file) == hashlib.sha256(IMAGE).hexdigest()


@pytest.mark.parametrize("mode", ["versions", "garbage"])
def test_nonsense_instead_of_sftp(odd_server, server, start, mode):
    odd = odd_server(mode)
    media = start(odd.uri(server.image), odd.credentials())
    media.wait_status("failed")
    assert resident_mib(media.process) < 100
    assert media.terminate() == 0


@pytest.mark.parametrize("mode", ["wrong-id", "oversize"])
def test_answers_that_nobody_asked_for(odd_server, server, start, mode):
    odd = odd_server(mode)
    media = start(odd.uri(server.image), odd.credentials()).wait_ready()
    media.wait_status("operational")
    reading = Background(lambda: pread(media.file, 4096, 2 * MIB))
    report = media.control.wait(lambda r: r["status"] == "reconnecting")
    assert "SFTP" in report["detail"]
    assert resident_mib(media.process) < 100
    assert media.terminate() == 0
    with pytest.raises(OSError):
        reading.result(5)


def test_a_read_error_of_the_server_reaches_the_reader(odd_server, server, start):
    odd = odd_server("failing")
    media = start(odd.uri(server.image), odd.credentials()).wait_ready()
    began = time.monotonic()
    with pytest.raises(OSError) as refused:
        pread(media.file, 4096, 2 * MIB)
    assert refused.value.errno == errno.EIO
    assert time.monotonic() - began < 5
    assert pread(media.file, 4096, 0) == IMAGE[:4096]
    media.wait_status("operational")


# End


def test_sigterm_unmounts_with_a_read_pending(own_server, start):
    media = start(own_server.uri(own_server.image), own_server.credentials()).wait_ready()
    media.wait_status("operational")
    own_server.kill_sessions(signal.SIGSTOP)
    reading = Background(lambda: pread(media.file, 4096, 20 * MIB))
    time.sleep(0.3)  # the read shall be under way
    began = time.monotonic()
    assert media.terminate() == 0
    assert time.monotonic() - began < 2
    with pytest.raises(OSError):
        reading.result(2)
    assert not mounted(media.file)
    assert os.path.getsize(media.file) == 0
    own_server.kill_sessions(signal.SIGCONT)


def test_starts_over_a_dead_mount(server, start, tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    media = start(server.uri(server.image), server.credentials(), folder=folder).wait_ready()
    media.process.kill()
    media.process.wait()
    if mounted(media.file):
        with pytest.raises(OSError):
            os.stat(media.file)
    again = start(server.uri(server.image), server.credentials(), folder=folder).wait_ready()
    assert pread(again.file, 10, 0) == IMAGE[:10]
    assert again.terminate() == 0
    assert not mounted(again.file)


def test_foreign_unmount_ends_it(server, start):
    media = start(server.uri(server.image), server.credentials(), control=False).wait_ready()
    subprocess.run(["umount", str(media.file)], check=True)
    code, errors = media.end()
    assert code == 1
    assert "unmounted" in errors


def test_secrets_stay_out_of_sight(server, start):
    media = start(server.uri(server.image), server.credentials(key=True)).wait_ready()
    proc = Path(f"/proc/{media.process.pid}")
    for name in ("cmdline", "environ"):
        assert server.password.encode() not in (proc / name).read_bytes()
    assert "CoreDumping:\t0" in (proc / "status").read_text()
    limits = (proc / "limits").read_text()
    assert "Max core file size        0" in limits


# Strangers instead of an SSH server


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.0 400\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 500,
                                      b"A" * 200000],
                         ids=["nothing", "http", "bad packet", "long line"])
def test_nonsense_instead_of_ssh(start, greeting):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
        talking = Background(answer)
        media = start(f"sshfs://127.0.0.1:{listener.getsockname()[1]}:/x.iso", {"username": "u"})
        report = media.wait_status("failed")
        assert report["detail"].isprintable()
        try:
            talking.result(5)
        except OSError:
            pass  # it hung up on us: well done
