"""lom-media --fetch and --store against a real sshd."""

import fcntl
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import sshd as sshd_module
from tests.support.lom_media import PROGRAM
from tests.support.lomd import sanitized
from tests.support.sshd import Sshd, free_port, wait_for

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if sshd_module.missing():
    pytest.skip(sshd_module.missing(), allow_module_level=True)

MIB = 1 << 20
DATA = random.Random(3).randbytes(12 * MIB + 4321)


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("server")) as running:
        running.home.chmod(0o777)
        yield running


def start(server, *args, credentials=None, **pipes):
    reader, writer = os.pipe()
    os.write(writer, json.dumps(credentials or server.credentials()).encode())
    os.close(writer)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
             **pipes}
    process = subprocess.Popen([str(PROGRAM), *args, "--allow-loopback", "--credentials-fd", str(reader)],
                               pass_fds=(reader,), **pipes)
    os.close(reader)
    return process


def fetch(server, path, *options, **kwargs):
    process = start(server, "--fetch", server.uri(path), *options, **kwargs)
    out, errors = process.communicate(timeout=20)
    return process.returncode, out, errors.decode()


def store(server, path, data, *options):
    process = start(server, "--store", server.uri(path), *options, stdin=subprocess.PIPE)
    out, errors = process.communicate(data, timeout=20)
    return process.returncode, out, errors.decode()


@pytest.mark.parametrize("size", [0, 1, 2047, 128 << 10, (128 << 10) + 1, len(DATA)])
def test_fetched_and_stored_files_are_equal(server, size):
    data = DATA[:size]
    code, out, errors = store(server, f"{server.home}/stored{size}", data)
    assert (code, out, errors) == (0, b"", "")
    assert (server.home / f"stored{size}").read_bytes() == data
    assert fetch(server, f"{server.home}/stored{size}") == (0, data, "")


def test_store_replaces_a_longer_file(server):
    path = server.home / "longer"
    assert store(server, str(path), b"x" * 100000)[0] == 0
    assert store(server, str(path), b"short")[0] == 0
    assert path.read_bytes() == b"short"


def test_from_and_to_plain_files(server, tmp_path):
    (tmp_path / "in").write_bytes(DATA)
    with open(tmp_path / "in", "rb") as source:
        assert start(server, "--store", server.uri(f"{server.home}/plain"),
                     stdin=source).wait(20) == 0
    with open(tmp_path / "out", "wb") as target:
        assert start(server, "--fetch", server.uri(f"{server.home}/plain"),
                     stdout=target).wait(20) == 0
    assert (tmp_path / "out").read_bytes() == DATA


def test_max_bytes(server):
    path = server.put("big", DATA)
    code, out, errors = fetch(server, path, "--max-bytes", str(len(DATA) - 1))
    assert (code, out) == (1, b"") and "larger than" in errors
    assert fetch(server, path, "--max-bytes", str(len(DATA)))[0] == 0
    code, _, errors = store(server, f"{server.home}/too-big", DATA, "--max-bytes", "1000")
    assert code == 1 and "larger than" in errors


def test_refusals_say_why(server):
    path = server.put("private", b"secret", mode=0o600)
    os.chown(path, 0, 0)
    wrong = {**server.credentials(), "password": "wrong"}
    for action, words in [
            (lambda: fetch(server, f"{server.home}/none"), "no such file"),
            (lambda: fetch(server, path), "permission denied"),
            (lambda: fetch(server, "/dev/null"), "not a regular file"),
            (lambda: fetch(server, path, credentials=wrong), "login refused"),
            (lambda: store(server, path, b"mine"), "permission denied"),
            (lambda: store(server, f"{server.home}/none/file", b"mine"), "no such file")]:
        code, out, errors = action()
        assert (code, out) == (1, b""), errors
        assert errors.startswith("lom-media: " + words), errors
        assert server.password not in errors
    assert Path(path).read_bytes() == b"secret"


def test_full_disk_is_told(server):
    code, _, errors = store(server, "/dev/full", DATA)
    assert code == 1 and "failed to write" in errors


def test_host_key_is_remembered_and_a_changed_one_refused(server, tmp_path):
    known = tmp_path / "known_hosts"
    path = server.put("small", b"content")
    with Sshd(tmp_path, account=server) as own:
        assert fetch(own, path, "--known-hosts", str(known))[0] == 0
        own.stop()
        own.change_host_key()
        own.start()
        for action in (lambda: fetch(own, path, "--known-hosts", str(known)),
                       lambda: store(own, path, b"x", "--known-hosts", str(known))):
            code, out, errors = action()
            assert (code, out) == (1, b"") and errors.startswith("lom-media: host key changed")
    assert Path(path).read_bytes() == b"content"


def test_a_slow_reader_loses_nothing_and_bounds_memory(server):
    path = server.put("slow", DATA * 4)
    process = start(server, "--fetch", server.uri(path))
    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 65536)
    assert process.stdout.read(1) == DATA[:1]
    started = time.monotonic()
    # Longer than a server's silence may last: what is read meanwhile must be keepalives.
    wait_for(lambda: time.monotonic() - started > 10, 15, "the pause")
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0])
    assert sanitized() or resident < 64 * 1024, resident
    assert process.stdout.read() == (DATA * 4)[1:]
    assert process.wait(10) == 0


def test_a_server_that_dies_ends_it(server, tmp_path):
    path = server.put("dying", DATA * 4)
    with Sshd(tmp_path, account=server) as own:
        process = start(own, "--fetch", own.uri(path))
        assert process.stdout.read(1) == DATA[:1]
        own.stop()
        own.kill_sessions()
        got = process.stdout.read()
        assert process.wait(20) == 1
        assert b"connection lost" in process.stderr.read()
        assert len(got) < 4 * len(DATA)


def test_terminate_ends_it(server):
    process = start(server, "--store", server.uri(f"{server.home}/halted"), stdin=subprocess.PIPE)
    process.stdin.write(b"x" * 40000)
    process.stdin.flush()
    wait_for(lambda: os.path.exists(server.home / "halted"), 10, "the file is created")
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 1


def test_usage(server):
    uri = server.uri("/x/y")
    for args in (["--fetch", uri, "/tmp/file"], ["--fetch", "--store", uri], [uri],
                 ["--fetch", "gopher://h/x"], ["--fetch"]):
        process = start(server, *args)
        process.communicate(timeout=10)
        assert process.returncode == 2, args


def test_nobody_listens(server):
    process = start(server, "--fetch", f"sshfs://127.0.0.1:{free_port()}:/x")
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1 and errors.startswith(b"lom-media: connection refused")
