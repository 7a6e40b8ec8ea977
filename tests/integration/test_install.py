"""What `cmake --install` and cpack put where, and that it runs from there, confined as its unit says."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import pytest

from tests.support import demo_host, isos
from tests.support.image_server import ImageServer
from tests.support.lomd import BUILD, PROMPT, Lomd, wait_until

PAGES = ["man1/lom.1", "man7/openlom-targets.7", "man8/lomd.8"]


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=170, stdin=subprocess.DEVNULL, **more)


def needs(*programs):
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {' '.join(missing)}")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder that stands for / of a machine where OpenLOM was installed."""
    if Lomd.missing():
        pytest.skip(Lomd.missing())
    folder = tmp_path_factory.mktemp("installed")
    for parent in (folder, *folder.parents):  # lom-ssh is nobody
        if parent.owner() == folder.owner() and parent.name.startswith("pytest"):
            parent.chmod(0o755)
    folder.chmod(0o755)
    done = run("cmake", "--install", BUILD, "--prefix", "/usr", env={**os.environ, "DESTDIR": str(folder)})
    assert done.returncode == 0, done
    return folder


@pytest.fixture(scope="module")
def unit(root):
    return root / "usr/lib/systemd/system/lomd.service"


# -- the files

def test_programs_lie_where_they_belong(root):
    helpers = {path.name for path in (root / "usr/libexec/openlom").iterdir()}
    assert {"lom", "lom-ssh", "lom-media"} <= helpers
    helpers.discard("ui")  # the web page, where it was built
    assert helpers == {"lom"} | {path.name for path in BUILD.glob("lom-*") if os.access(path, os.X_OK)}
    for name in ("usr/sbin/lomd", "usr/bin/lom", "usr/libexec/openlom/lom"):
        done = run(root / name, "--version")
        assert done.returncode == 0 and re.match(r"lomd? \d", done.stdout), done


def test_an_existing_configuration_is_kept(root):
    conf = root / "etc/openlom/lomd.conf"
    shipped = conf.read_text()
    try:
        conf.write_text("ssh-port = 22\n")
        assert run("cmake", "--install", BUILD, "--prefix", "/usr",
                   env={**os.environ, "DESTDIR": str(root)}).returncode == 0
        assert conf.read_text() == "ssh-port = 22\n"
    finally:
        conf.write_text(shipped)


# -- the manual pages

@pytest.mark.parametrize("page", PAGES)
def test_a_manual_page_is_clean(root, page):
    needs("man", "mandoc", "groff")
    file = root / "usr/share/man" / page
    lint = run("mandoc", "-Tlint", "-Wwarning", file)
    assert (lint.returncode, lint.stdout) == (0, ""), lint
    warned = run("groff", "-ww", "-mandoc", "-Tutf8", file)
    assert warned.stderr == "" and len(warned.stdout) > 2000
    shown = run("man", "--warnings", "-l", file, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert (shown.returncode, shown.stderr) == (0, "")


def test_the_pages_name_every_flag_and_verb(root):
    lomd = (root / "usr/share/man/man8/lomd.8").read_text()
    offered = set(re.findall(r"(?m)^ +(?:-h,)?--([\w-]+)", run(root / "usr/sbin/lomd", "--help").stdout))
    assert offered - {"help"} == set(re.findall(r"(?m)^\.It Fl -([\w-]+)", lomd))
    lom = (root / "usr/share/man/man1/lom.1").read_text()
    with Lomd() as sp:
        verbs = sp.lom("help").stdout.partition("Commands are:\n")[2].split()
    assert verbs and set(verbs) <= set(re.findall(r"(?m)^\.It Ic (\w+)", lom)) | {"help"}


def names_in_tree(target, path, closed):
    """Each target and property as `show -o json` has them; what has text instead is `closed`."""
    yield path or "/"
    if target is None:
        closed.append(path)
        return
    for name in target["Properties"]:
        yield f"{path or '/'} {name}"
    for name, child in target["Targets"].items():
        yield from names_in_tree(child, f"{path}/{name}", closed)


def names_in_page(text):
    """The same of the page, other names of one target followed."""
    sections = dict(re.findall(r"(?ms)^\.Ss (\S+)\n(.*?)(?=^\.S[sh] )", text))
    for path, section in sections.items():
        other = re.match(r"Another name of\n\.Pa (\S+) \.\n", section)
        first = other[1] if other else path
        for at, body in sections.items():
            if at == first or (other and at.startswith(first + "/")):
                here = path + at[len(first):]
                yield here
                # Properties come first; what verbs take stands behind `Verbs:`.
                for name in re.findall(r"(?m)^\.It Va (\S+)", body.partition("\nVerbs:\n")[0]):
                    yield f"{here} {name}"


def test_making_the_page_of_targets_leaves_nothing_behind():
    with tempfile.TemporaryDirectory(prefix="openlom-test-") as folder:
        os.chmod(folder, 0o755)  # lom-kvm is not root
        subprocess.run([BUILD / "lomd", "--config", "/dev/null", "--targets-manual"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": folder})
        assert not os.listdir(folder)
        wait_until(lambda: not writing_below(folder), 10, "its helpers have ended")


def writing_below(folder):
    """Pids of the processes with a file there, deleted or not, as standard error."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "fd/2").startswith(str(folder)):
                found.append(int(entry.name))
    return found


def test_the_page_of_targets_is_the_tree(root):
    page = (root / "usr/share/man/man7/openlom-targets.7").read_text()
    with Lomd() as sp:
        shown = sp.lom("show -script -level all -o json /")
        assert shown.returncode == 0, shown
        closed = []
        tree = set(names_in_tree(json.loads(shown.stdout), "", closed))
    # Sessions come and go with those who look; a walk does not enter logs, histories, the screen.
    inside = tuple(f"{path}{end}" for path in closed for end in "/ ") + ("/SP/sessions/",)
    written = set(names_in_page(page))
    assert {name for name in written if not name.startswith(inside)} == \
        {name for name in tree if not name.startswith("/SP/sessions/")}
    assert len(tree) > 100


# -- the unit

def test_the_unit_is_valid(unit, root):
    needs("systemd-analyze")
    # Of a machine that has nothing else: what is missing there is not the unit's fault.
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", unit)
    assert done.returncode == 0 and "lomd.service" not in done.stderr, done


def test_the_unit_confines(unit):
    needs("systemd-analyze")
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=60", unit)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.fixture(scope="module")
def sandbox(unit):
    needs("systemd-analyze")
    if os.geteuid() != 0:
        pytest.skip("not root: a unit's bounding set is for root")
    pytest.importorskip("seccomp", reason="not installed: python3-seccomp")
    from tests.support.unit_sandbox import Sandbox
    return Sandbox(unit)


def confined(root, sandbox):
    programs = {"lomd": root / "usr/sbin/lomd", "lom": root / "usr/bin/lom"}
    # A sanitizer's search for leaks needs ptrace, which the unit does not give.
    sp = Lomd(programs=programs, preexec_fn=sandbox.enter,
              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    for folder in (sp.state_dir, sp.run_dir):  # as StateDirectory= and RuntimeDirectory= do
        folder.mkdir(mode=0o711)
        os.chown(folder, sandbox.user, sandbox.user)
    (sp.home / "password").touch(mode=0o600)
    os.chown(sp.home / "password", sandbox.user, -1)
    return sp


def of_process(pid):
    """Uid and capabilities of a process."""
    with open(f"/proc/{pid}/status") as file:
        facts = dict(re.findall(r"(\w+):\t(\S+)", file.read()))
    return int(facts["Uid"]), int(facts["CapPrm"], 16) | int(facts["CapEff"], 16)


def started_by(sp):
    """Name, uid and capabilities of all that lies in the service's folders."""
    mine = str(sp.home).encode()
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            arguments, name = (entry / "cmdline").read_bytes(), (entry / "comm").read_text().strip()
            if mine in arguments or any(str(sp.home) in str(p) for p in [os.readlink(entry / "cwd")]):
                yield name, *of_process(entry.name)
        except OSError:
            pass  # ended just now


def log_in(sp):
    person = sp.terminal()
    person.send("show /SP/users\r")
    person.expect(PROMPT)
    assert "root" in person.before
    person.close()


def test_the_installed_service_runs(root, sandbox):
    with confined(root, sandbox) as sp:
        log_in(sp)
        with socket.create_connection(("127.0.0.1", sp.ports["https"]), 10) as plain:
            context = ssl._create_unverified_context()  # its certificate is its own
            with context.wrap_socket(plain) as web:
                web.sendall(b"GET / HTTP/1.1\r\nHost: sp\r\nConnection: close\r\n\r\n")
                assert web.recv(64).startswith(b"HTTP/1.1 ")
        assert sp.lom("set /SP/network/test ping=127.0.0.1").stdout == "Ping of 127.0.0.1 succeeded\n"
        with open(f"/proc/{sp.process.pid}/status") as file:
            facts = dict(re.findall(r"(\w+):\t(\S+)", file.read()))
        assert (facts["NoNewPrivs"], facts["Seccomp"], int(facts["Uid"])) == ("1", "2", sandbox.user)
        assert int(facts["CapEff"], 16) == sum(1 << bit for bit in sandbox.own)


@pytest.mark.qemu
@pytest.mark.skipif(bool(demo_host.missing()), reason=demo_host.missing() or "built")
def test_the_installed_service_runs_a_host_with_a_remote_image(root, sandbox, tmp_path_factory):
    with ImageServer(tmp_path_factory.mktemp("images") / "sshd") as server, confined(root, sandbox) as sp:
        server.add(isos.demo())
        demo_host.point_at_image(sp, server)
        demo_host.boot_cd(sp)
        wait_until(lambda: b"Linux version" in demo_host.console_log(sp), demo_host.BOOT_LIMIT,
                   "the guest's kernel comes from the image")
        running = {name: (uid, held) for name, uid, held in started_by(sp)}
        assert running["lom-media"] == (65534, 0)
        own = sum(1 << bit for bit in (0, 6, 7, 10, 21))  # see kvms/drive/drive.cpp
        assert running["lom-steward"] == (sandbox.user, own)
        for helper in ("lom-ssh", "lom-web", "openlom-host0"):
            uid, held = running[helper]
            assert held == 0 and uid not in (0, sandbox.user), helper
        # The next lomd, confined anew, still has host and image.
        sp.kill9()
        sp.start()
        demo_host.wait_for_storage(sp, "operational")
        assert demo_host.prop(sp, "/SYS", "power_state") == "On"
        log_in(sp)
        assert sp.lom("stop -script -force /SYS").returncode == 0
        demo_host.boot_cd(sp)


def test_the_service_manager_is_told(root, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        # A configuration of one's own, and no password for the journal.
        conf = tmp_path / "lomd.conf"
        conf.write_text(f'state-dir = "{tmp_path}/state"\nrun-dir = "{tmp_path}/run"\nssh-port = 0\nhttps-port = 0\n')
        process = subprocess.Popen([root / "usr/sbin/lomd", "--config", conf, "--foreground"],
                                   env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            told = manager.recv(4096).decode()
            port = json.loads((tmp_path / "run/ports.json").read_text())["ssh"]
            assert told.startswith("READY=1\n") and f"port {port}" in told
            done = run(root / "usr/bin/lom", "--run-dir", tmp_path / "run", "reset -script /SP")
            assert done.returncode == 0
            assert manager.recv(4096).startswith(b"READY=1\n"), "again, from the same process"
            process.terminate()
            assert manager.recv(4096) == b"STOPPING=1\n"
            output = process.communicate(timeout=20)[0].decode()
            assert process.returncode == 0
            assert "lom set /SP/users/root password" in output and "its password " not in output
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
            for left in writing_below(tmp_path):  # lom-kvm waits for the next lomd
                os.kill(left, signal.SIGTERM)


# -- the package

def test_the_package(tmp_path):
    needs("cpack", "dpkg-deb")
    made = run("cpack", "--config", BUILD / "CPackConfig.cmake", "-G", "DEB", "-B", tmp_path)
    assert made.returncode == 0, made
    [package] = tmp_path.glob("openlom_*.deb")
    depends = run("dpkg-deb", "-f", package, "Depends").stdout
    assert {"libssh-4", "libfuse3-3", "qemu-system-x86"} <= set(re.findall(r"[\w.-]+", depends))
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith("pytest"):
            parent.chmod(0o755)
    there = tmp_path / "there"
    assert run("dpkg-deb", "-x", package, there).returncode == 0
    assert (there / "etc/openlom/lomd.conf").exists()
    assert "ExecStart=/usr/sbin/lomd " in (there / "usr/lib/systemd/system/lomd.service").read_text()
    with Lomd(programs={"lomd": there / "usr/sbin/lomd", "lom": there / "usr/bin/lom"}) as sp:
        log_in(sp)
