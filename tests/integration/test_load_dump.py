"""load and dump against a real sshd, and what the console keeps."""

import re
import subprocess

import pytest

from tests.support import isos
from tests.support.guest import must
from tests.support.image_server import HOME, ImageServer
from tests.support.lomd import Lomd, wait_until
from tests.support.sshd import Sshd

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(Lomd.missing() or ImageServer.missing()),
                       reason=Lomd.missing() or ImageServer.missing() or "built"),
]

KEYS = "/SP/users/root/ssh/keys"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("server") / "sshd.log") as images:
        yield images


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "account"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "anna@desk", "-f", path], check=True)
    return path


def uri(server, name):
    return f"sftp://{server.username}@127.0.0.1:{server.port}{HOME}/{name}"


@pytest.fixture(scope="module")
def writable(tmp_path_factory):
    """The image server lets nobody write."""
    with Sshd(tmp_path_factory.mktemp("writable")) as running:
        running.home.chmod(0o777)
        yield running


def opens(sp, key):
    return sp.ssh_with_key(key, "version").returncode == 0


def test_a_key_is_loaded_from_the_terminal(sp, key):
    assert not opens(sp, key)
    text = key.with_suffix(".pub").read_text()
    done = sp.lom("load", "-source", "console", f"{KEYS}/1", input=f"{text}.\n")
    assert done.returncode == 0 and "Load successful." in done.stdout
    assert "embedded_comment = anna@desk" in sp.lom("show", f"{KEYS}/1").stdout
    assert opens(sp, key)
    must(sp, f"set {KEYS}/1 clear_action=true")
    assert not opens(sp, key)


def test_a_key_is_loaded_from_another_machine(sp, server, key):
    (server.home / "account.pub").write_bytes(key.with_suffix(".pub").read_bytes())
    source = uri(server, "account.pub")
    refused = sp.lom("load", "-source", source, f"{KEYS}/2", input="wrong\n")
    assert refused.returncode == 4 and "login refused" in refused.stdout
    done = sp.lom("load", "-source", source, f"{KEYS}/2", input=f"{server.password}\n")
    assert (done.returncode, done.stdout) == (0, "Enter remote user password: \nLoad successful.\n")
    assert opens(sp, key)
    assert server.password not in sp.lom("show", "/SP/logs/audit/list").stdout


@pytest.mark.parametrize("content", ["", "not a key\n", "ssh-ed25519 AAAA broken\n", "\0\1\2\n"])
def test_what_is_no_key_changes_nothing(sp, content):
    done = sp.lom("load", "-source", "console", f"{KEYS}/3", input=f"{content}.\n")
    assert done.returncode == 2, done.stdout
    assert "publickey = (none)" in sp.lom("show", f"{KEYS}/3").stdout


def test_load_and_dump_say_what_is_wrong(sp, server):
    assert sp.lom("load", "-source", "gopher://x/y", f"{KEYS}/3").returncode == 2
    missing = sp.lom("load", "-source", uri(server, "none"), f"{KEYS}/3", input=f"{server.password}\n")
    assert missing.returncode == 4 and "no such file" in missing.stdout
    assert sp.lom("load", "-source", "console", "/HOST").returncode == 2
    assert sp.lom("dump", "/HOST/console").returncode == 1


@pytest.fixture(scope="module")
def printed(sp, server):
    """A host that has printed something."""
    server.add(isos.hello())
    must(sp, "set /SP/services/kvms/host_storage_device/remote "
             f"username={server.username} password={server.password} server_URI={server.uri(isos.hello().name)}",
         "set /SP/services/kvms/host_storage_device mode=remote", "set /HOST boot_device=cdrom",
         "start -script /SYS")
    wait_until(lambda: "SeaBIOS" in sp.lom("show", "/HOST/console/history").stdout, 60, "the firmware speaks")
    yield sp
    must(sp, "stop -script -force /SYS", "set /SP/services/kvms/host_storage_device mode=disabled")


def test_console_and_screen_are_dumped(printed, writable):
    for target, name in (("/HOST/console", "console.log"), ("/HOST/screen", "screen.png")):
        place = f"sftp://{writable.user}@127.0.0.1:{writable.port}{writable.home}/{name}"
        done = printed.lom("dump", "-destination", place, target, input=f"{writable.password}\n")
        assert done.returncode == 0 and "Dump successful." in done.stdout, done.stdout
    assert b"SeaBIOS" in (writable.home / "console.log").read_bytes()
    assert (writable.home / "screen.png").read_bytes().startswith(b"\x89PNG")


def test_the_boot_log_begins_with_the_last_boot(printed):
    printed.lom("start", "-script", "/HOST/console", input="#.")  # history of another boot before
    must(printed, "reset -script /SYS")
    wait_until(lambda: printed.lom("show", "/HOST/console/bootlog").stdout.count("SeaBIOS (version") == 1, 60,
             "the boot log holds one boot")
    assert printed.lom("show", "/HOST/console/history").stdout.count("SeaBIOS (version") >= 2


def test_what_is_not_logged_is_not_shown(printed):
    must(printed, "set /HOST/console logging=disabled")
    for name in ("history", "bootlog"):
        refused = printed.lom("show", f"/HOST/console/{name}")
        assert refused.returncode == 2 and "could not get console history" in refused.stdout
    must(printed, "reset -script /SYS", "set /HOST/console logging=enabled")
    assert printed.lom("show", "/HOST/console/history").stdout.count("SeaBIOS (version") <= 1


def test_history_waits_where_pause_count_says(printed):
    must(printed, "set /HOST/console pause_count=2", "set /HOST/console line_count=6")
    with printed.terminal() as shell:
        shell.sendline("show /HOST/console/history")
        shell.expect_exact("Paused: press any key to continue, or 'q' to quit")
        shell.send("q")
        shell.expect_exact("-> ")
    must(printed, "set /HOST/console pause_count=0", "set /HOST/console line_count=0")


def test_the_locator_is_one_indicator_with_two_names(sp):
    must(sp, "set /SYS/LOCATE value=fast_blink")
    assert "locator_indicator = On" in sp.lom("show", "/System").stdout
    must(sp, "set /System locator_indicator=off")
    assert "value = Off" in sp.lom("show", "/SYS/LOCATE").stdout


def test_an_unreachable_image_is_an_open_problem(sp):
    must(sp, "set /SP/services/kvms/host_storage_device/remote server_URI=sshfs://127.0.0.1:1:/x.iso")
    sp.lom("set", "/SP/services/kvms/host_storage_device", "mode=remote")
    wait_until(lambda: "open_problems_count = 1" in sp.lom("show", "/System").stdout, 20, "it is counted")
    assert "Open_Problems (1)\n" in sp.lom("show", "/System").stdout
    shown = sp.lom("show", "/System/Open_Problems").stdout
    assert re.search(r"  Remote Storage {6}host_storage_device\n +Status: connection refused\. ", shown), shown
    faulty = sp.lom("show", "faulty").stdout
    assert re.search(r"^Target +\| Property +\| Value", faulty, re.M)
    assert re.search(r"^/SP/faultmgmt/0 +\| fru +\| /SP/services/kvms/host_storage_", faulty, re.M)
    assert re.search(r"\| sp_detected_fault +\| Status: connection refused\.", faulty)
    must(sp, "set /SP/services/kvms/host_storage_device mode=disabled")
    nothing = sp.lom("show", "faulty")
    assert nothing.returncode == 0 and "/SP/faultmgmt" not in nothing.stdout
    assert "open_problems_count = 0" in sp.lom("show", "/System").stdout
