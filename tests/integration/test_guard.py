"""Nobody gets in who should not: SSH keys, guessing, limits, roles, and the SSH service."""

import subprocess

import paramiko
import pytest

from tests.support.lomd import Lomd

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing())


@pytest.fixture(scope="module")
def sp():
    with Lomd() as service:
        yield service


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key pair of each type that opens accounts: {type: path}."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for kind, bits in (("ed25519", "0"), ("ecdsa", "384"), ("rsa", "2048")):
        path = folder / kind
        subprocess.run(["ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits != "0" else []),
                        "-N", "", "-C", f"{kind} of anna", "-f", path], check=True)
        made[kind] = path
    return made


def fingerprint(path):
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True,
                           text=True).stdout
    return shown.split()[1]


def properties(sp, target):
    """What `show` prints as NAME = VALUE."""
    shown = sp.lom("show", target)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    return dict(line.strip().split(" = ", 1) for line in shown.stdout.splitlines() if " = " in line)


def login_with_key(sp, key, *words, user="root", options=()):
    arguments = sp.ssh_arguments(*words, user=user, options=[
        "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i", str(key), *options])
    arguments = ["PubkeyAuthentication=yes" if word == "PubkeyAuthentication=no" else word
                 for word in arguments]
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=30)


def audit(sp):
    return sp.lom("show", "/SP/logs/audit/list").stdout


def make_account(sp, name, role="o", password="Some-Password-1"):
    sp.lom("-script", "delete", f"/SP/users/{name}")
    made = sp.lom("create", f"/SP/users/{name}", f"role={role}", f"password={password}")
    assert made.returncode == 0, made.stdout + made.stderr


# -- keys

@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_opens_its_account_until_it_is_cleared(sp, keys, kind):
    path = keys[kind]
    slot = "/SP/users/root/ssh/keys/1"
    assert login_with_key(sp, path, "version").returncode == 255
    line = path.with_name(f"{kind}.pub").read_text().strip()
    done = sp.lom("set", slot, f'publickey="{line}"')
    assert done.returncode == 0, done.stdout + done.stderr
    shown = properties(sp, slot)
    assert shown["fingerprint"] == fingerprint(path)
    assert shown["embedded_comment"] == f"{kind} of anna"
    assert shown["bit_length"] == {"ed25519": "256", "ecdsa": "384", "rsa": "2048"}[kind]
    assert line.split()[0] == shown["algorithm"]
    logged_in = login_with_key(sp, path, "show /SP/users")
    assert logged_in.returncode == 0 and "root" in logged_in.stdout, logged_in.stderr
    assert login_with_key(sp, path, "version", user="nosuch").returncode == 255
    assert sp.lom("set", slot, "clear_action=true").returncode == 0
    assert properties(sp, slot)["fingerprint"] == "(none)"
    assert login_with_key(sp, path, "version").returncode == 255
