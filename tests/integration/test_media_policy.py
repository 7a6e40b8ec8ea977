"""Where images may come from: who may name what, what TLS is checked by, and what is written down."""

import json
import pathlib
import random
import socket

import pytest

from tests.support import nginx as nginx_module
from tests.support.guest import STORAGE, get, must, wait_for
from tests.support.lomd import Lomd, sanitized
from tests.support.nginx import Nginx

POLICY = "/SP/services/kvms/image_policy"
REMOTE = f"{STORAGE}/remote"
PASSWORD = "Carla-Has-Words-4"

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(Lomd.missing() or nginx_module.missing()),
                       reason=Lomd.missing() or nginx_module.missing() or "built"),
]


@pytest.fixture(name="server", scope="module")
def server_fixture(tmp_path_factory):
    server = Nginx(tmp_path_factory.mktemp("server"))
    server.put("disc.iso", random.Random(9).randbytes(1 << 20))
    with server:
        yield server


@pytest.fixture(name="sp", scope="module")
def sp_fixture():
    with Lomd() as lomd:
        must(lomd, f"create /SP/users/carla role=co password={PASSWORD}",
             f"set {STORAGE} mode=remote")
        yield lomd


@pytest.fixture(autouse=True)
def nothing_before(sp):
    must(sp, f"set {REMOTE} server_URI='' tls_ca='' tls_pin=''",
         f"set {POLICY} allowed_addresses='' allowed_schemes='' loopback=admin tls_ca=''")


def carla(sp, line):
    done = sp.ssh(line, user="carla", password=PASSWORD)
    return done.returncode, done.stdout + done.stderr


def test_only_an_administrator_names_the_own_machine(sp, server):
    uri = server.uri("disc.iso")
    for spelling in (uri, uri.replace("127.0.0.1", "localhost"), uri.replace("127.0.0.1", "127.1")):
        code, text = carla(sp, f"set {REMOTE} server_URI={spelling}")
        assert code != 0 and "role a" in text
    assert get(sp, REMOTE, "server_URI") == ""
    assert carla(sp, f"set {REMOTE} server_URI=https://192.0.2.1/x.iso")[0] == 0
    assert get(sp, REMOTE, "set_by") == "carla"

    must(sp, f"set {REMOTE} server_URI={uri}")
    assert (get(sp, REMOTE, "set_by"), get(sp, STORAGE, "status")) == ("root", "operational")
    # What root has named, others may take out and put in again.
    assert carla(sp, f"set {STORAGE} mode=disabled")[0] == 0
    assert carla(sp, f"set {STORAGE} mode=remote")[0] == 0
    wait_for(sp, STORAGE, "status", "operational", 20)
    audit = sp.lom("show /SP/logs/audit/list").stdout
    assert f"carla from 127.0.0.1: insert {uri}" in audit
    assert "refused: The server is the service processor's own machine" in audit

    must(sp, f"set {POLICY} loopback=nobody")
    done = sp.lom(f"set {REMOTE} server_URI={uri}")
    assert done.returncode != 0 and "own machine" in done.stdout
    must(sp, f"set {STORAGE} mode=disabled", f"set {STORAGE} mode=remote")
    assert get(sp, STORAGE, "status") == "not allowed"
    assert "own machine" in get(sp, STORAGE, "status_detail")


def names_of_the_own_machine():
    """As a name server may answer, too: not to be told from the name alone."""
    for name in ("ip6-loopback", socket.gethostname()):
        try:
            found = {info[4][0] for info in socket.getaddrinfo(name, 80)}
        except OSError:
            continue
        if found and all(address == "::1" or address.startswith("127.") for address in found):
            yield name


def test_a_name_of_the_own_machine_helps_nobody(sp):
    names = list(names_of_the_own_machine())
    if not names:
        pytest.skip("no name but localhost leads to loopback")
    for name in names:
        assert carla(sp, f"set {REMOTE} server_URI=http://{name}/x.iso")[0] == 0
        assert get(sp, STORAGE, "status") == "not allowed"


def test_schemes_and_addresses(sp, server):
    must(sp, f"set {POLICY} allowed_schemes=https,sshfs allowed_addresses=10.0.0.0/8,2001:db8::/32")
    for uri, words in (("http://10.0.0.1/x", "scheme http"),
                       ("https://192.0.2.1/x", "allowed_addresses"),
                       ("https://[2001:db9::1]/x", "allowed_addresses"),
                       ("https://169.254.169.254/latest", "link-local")):
        done = sp.lom(f"set {REMOTE} server_URI={uri}")
        assert done.returncode != 0 and words in done.stdout, (uri, done.stdout)
    must(sp, f"set {POLICY} allowed_schemes=''", f"set {REMOTE} server_URI={server.uri('disc.iso')}")
    assert get(sp, STORAGE, "status") == "operational"  # loopback has a switch of its own
    must(sp, f"set {POLICY} allowed_schemes=sshfs", f"set {STORAGE} mode=disabled",
         f"set {STORAGE} mode=remote")
    assert get(sp, STORAGE, "status") == "not allowed"
    for wrong in ("allowed_schemes=gopher", "allowed_addresses=10.0.0.0/40", "loopback=all"):
        assert sp.lom(f"set {POLICY} {wrong}").returncode != 0, wrong
    code, text = carla(sp, f"set {POLICY} loopback=nobody")
    assert code != 0 and "role" in text


def test_what_is_loaded_obeys_too(sp, server):
    code, text = carla(sp, f"load -source {server.uri('disc.iso')} /SP/users/carla/ssh/keys/1")
    assert code != 0 and "own machine" in text
    must(sp, f"set {POLICY} allowed_schemes=sshfs")
    done = sp.lom(f"load -source {server.uri('disc.iso')} /SP/users/root/ssh/keys/1")
    assert done.returncode != 0 and "scheme http" in done.stdout


def test_https_is_checked_by_authorities_or_a_pin_never_by_nothing(sp, server):
    uri = server.uri("disc.iso", tls=True)
    must(sp, f"set {REMOTE} server_URI={uri}")
    assert get(sp, STORAGE, "status") == "failed"
    assert "certificate is not trusted" in get(sp, STORAGE, "status_detail")

    pem = server.certificate.read_text().strip().replace("\n", "\\n")
    must(sp, f'set {REMOTE} tls_ca="{pem}" server_URI={uri}')
    assert get(sp, STORAGE, "status") == "operational"
    must(sp, f"set {REMOTE} tls_ca='' tls_pin={server.pin} server_URI={uri}")
    assert get(sp, STORAGE, "status") == "operational"
    other = "sha256//" + "A" * 43 + "="
    must(sp, f"set {REMOTE} tls_pin={other} server_URI={uri}")
    assert get(sp, STORAGE, "status") == "failed"
    # Where the drive names none, those of the policy hold; for load too.
    must(sp, f"set {REMOTE} tls_pin='' server_URI={uri}")
    assert get(sp, STORAGE, "status") != "operational"
    refused = sp.lom(f"load -source {uri} /SP/media", input="\n")
    assert refused.returncode == 4 and "certificate" in refused.stdout, refused
    must(sp, f'set {POLICY} tls_ca="{pem}"', f"set {REMOTE} server_URI={uri}")
    assert get(sp, STORAGE, "status") == "operational"
    loaded = sp.lom(f"load -source {uri} /SP/media", input="\n")
    assert "Load successful" in loaded.stdout, loaded
    must(sp, "delete -script /SP/media/disc.iso")
    assert sp.lom(f"set {POLICY} tls_ca=/etc/passwd").returncode != 0
    for wrong in ("tls_pin=sha256//short", "tls_pin=none", "tls_ca=/etc/passwd"):
        assert sp.lom(f"set {REMOTE} {wrong}").returncode != 0, wrong
    broken = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"
    must(sp, f'set {REMOTE} tls_pin=\'\' tls_ca="{broken}" server_URI={uri}')
    assert get(sp, STORAGE, "status") == "failed"
    assert "tls_ca" in get(sp, STORAGE, "status_detail")


def test_the_program_that_reads_has_no_rights(sp, server):
    must(sp, f"set {REMOTE} server_URI={server.uri('disc.iso')}", f"set {STORAGE} mode=disabled",
         f"set {STORAGE} mode=remote")
    wait_for(sp, STORAGE, "status", "operational", 20)
    record = json.loads((sp.state_dir / "hosts/host0/media0.json").read_text())
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{record['pid']}/status").read_text().splitlines())
    assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
    assert not status["Groups"].strip() and not int(status["CapPrm"], 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "0" if sanitized() else "2")
    holds = get(sp, STORAGE, "confinement")
    assert holds.startswith("user nobody, no capabilities, no new privileges" + (", seccomp" if not sanitized() else ""))
    must(sp, f"set {STORAGE} mode=disabled")
    assert get(sp, STORAGE, "confinement") == ""
    must(sp, f"set {STORAGE} mode=remote")
