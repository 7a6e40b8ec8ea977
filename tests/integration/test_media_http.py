"""lom-media against a real nginx: by FUSE and by --fetch."""

import hashlib
import json
import os
import random
import subprocess

import pytest

from tests.support import nginx as nginx_module
from tests.support.guest import STORAGE, get, must
from tests.support.lom_media import PROGRAM, Background, LomMedia
from tests.support.lomd import Lomd
from tests.support.nginx import Nginx
from tests.support.sshd import free_port

if not PROGRAM.exists():
    pytest.skip(f"{PROGRAM} is not built", allow_module_level=True)
if nginx_module.missing():
    pytest.skip(nginx_module.missing(), allow_module_level=True)

MIB = 1 << 20
DATA = random.Random(5).randbytes(20 * MIB + 777)
LOCATIONS = """
location /moved {{ return 302 /image.iso; }}
location /to-tls {{ return 302 https://127.0.0.1:{tls_port}/image.iso; }}
location /to-plain {{ return 302 http://127.0.0.1:{port}/image.iso; }}
location /to-file {{ return 302 file:///etc/hostname; }}
location /to-metadata {{ return 302 http://169.254.169.254/latest; }}
location /for-ever {{ return 302 /for-ever; }}
location /forbidden {{ deny all; }}
location /whole/ {{ alias {files}/; max_ranges 0; }}
location /basic/ {{ alias {files}/; auth_basic "x"; auth_basic_user_file {passwords}; }}
"""


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    server = Nginx(folder)
    passwords = server.folder / "passwords"
    passwords.write_text("joe:{PLAIN}secret-word\n")
    server.locations = LOCATIONS.replace("{files}", str(server.files)).replace(
        "{passwords}", str(passwords))
    server.put("image.iso", DATA)
    server.put("empty", b"")
    server.put("small", b"text")
    server.put("with space #%.iso", DATA[:5000])
    with server:
        yield server


def fetch(uri, *options, credentials=None):
    reader, writer = os.pipe()
    os.write(writer, json.dumps(credentials or {}).encode())
    os.close(writer)
    process = subprocess.run([str(PROGRAM), "--fetch", uri, "--allow-loopback", "--credentials-fd", str(reader),
                              *options], pass_fds=(reader,), capture_output=True, timeout=30,
                             stdin=subprocess.DEVNULL, check=False)
    os.close(reader)
    return process.returncode, process.stdout, process.stderr.decode()


def fetched(outcome):
    """Whole and without complaint; never shows megabytes when it was not."""
    code, out, errors = outcome
    return (code, errors) == (0, "") and out == DATA


def test_fetch(server):
    for name, data in [("image.iso", DATA), ("empty", b""), ("small", b"text"), ("moved", DATA),
                       ("with space #%25.iso", DATA[:5000])]:
        code, out, errors = fetch(server.uri(name))
        assert (code, errors, len(out)) == (0, "", len(data)), name
        assert out == data, name


def test_tls_by_authority_or_pin_and_never_without(server):
    uri = server.uri("image.iso", tls=True)
    code, out, errors = fetch(uri)
    assert (code, out) == (1, b"") and "certificate is not trusted" in errors
    assert fetched(fetch(uri, "--tls-ca", str(server.certificate)))
    assert fetched(fetch(uri, "--tls-pin", server.pin))
    wrong = "sha256//" + "A" * 43 + "="
    code, out, errors = fetch(uri, "--tls-pin", wrong)
    assert (code, out) == (1, b"") and "certificate is not trusted" in errors


def test_redirects_never_leave_what_was_promised(server):
    ca = ("--tls-ca", str(server.certificate))
    assert fetched(fetch(server.uri("to-tls"), *ca))
    for name, tls, words in [("to-plain", True, "redirects"), ("to-file", False, "redirects"),
                             ("for-ever", False, "redirects"),
                             ("to-metadata", False, "link-local")]:
        code, out, errors = fetch(server.uri(name, tls), *ca)
        assert (code, out) == (1, b"") and words in errors, (name, errors)


def test_refusals_say_why(server):
    for name, words in [("none", "no such file"), ("forbidden", "permission denied"),
                        ("whole/image.iso", "ranges"), ("basic/image.iso", "login refused")]:
        code, out, errors = fetch(server.uri(name))
        assert (code, out) == (1, b"") and words in errors, (name, errors)
    code, _, errors = fetch(f"http://127.0.0.1:{free_port()}/x")
    assert code == 1 and "connection refused" in errors
    code, _, errors = fetch("http://169.254.169.254/latest")
    assert code == 1 and "link-local" in errors
    code, _, errors = fetch("sshfs://joe@169.254.169.254:/latest")
    assert code == 1 and "link-local" in errors


def test_a_password_goes_over_tls_only(server):
    ca = ("--tls-ca", str(server.certificate))
    joe = {"username": "joe", "password": "secret-word"}
    assert fetched(fetch(server.uri("basic/image.iso", tls=True), *ca, credentials=joe))
    code, _, errors = fetch(server.uri("basic/image.iso"), credentials=joe)
    assert code == 1 and "login refused" in errors and "secret-word" not in errors


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="/dev/fuse is missing")
def test_served_as_a_file(server, tmp_path):
    with LomMedia(tmp_path, server.uri("image.iso"), {}) as media:
        media.wait_ready()
        assert sha256_of(media.file) == hashlib.sha256(DATA).hexdigest()


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="/dev/fuse is missing")
def test_a_server_that_returns_is_used_and_another_image_refused(tmp_path):
    with Nginx(tmp_path) as server:
        server.put("own.iso", DATA)
        with LomMedia(tmp_path, server.uri("own.iso"), {}) as media:
            media.wait_ready()
            server.stop()
            reading = Background(lambda: sha256_of(media.file))
            media.wait_status("reconnecting")
            server.start()
            assert reading.result(20) == hashlib.sha256(DATA).hexdigest()
            media.wait_status("operational")

        server.put("own.iso", DATA)
        other = tmp_path / "other"
        other.mkdir()
        with LomMedia(other, server.uri("own.iso"), {}, options=["--cache-size", str(2 * MIB)]) as media:
            media.wait_ready()
            server.put("own.iso", DATA[::-1] + b"longer")
            with pytest.raises(OSError):
                sha256_of(media.file)
            media.wait_status("image changed")


@pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing() or "built")
def test_set_as_server_uri(server):
    image = bytearray(DATA)
    image[32768:32774] = b"\x01CD001"
    image[32808:32840] = b"WEB DISC".ljust(32)
    server.put("disc.iso", bytes(image))
    with Lomd() as sp:
        must(sp, f"set {STORAGE}/remote server_URI={server.uri('disc.iso')}",
             f"set {STORAGE} mode=remote")
        assert get(sp, STORAGE, "status") == "operational"
        assert get(sp, STORAGE, "volume_id") == "WEB DISC"
        must(sp, f"set {STORAGE}/remote server_URI={server.uri('none.iso')}")
        assert get(sp, STORAGE, "status") == "no such file"
        must(sp, f"set {STORAGE} mode=disabled")
