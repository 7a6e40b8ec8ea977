"""The tree as every door shows it: documentation, roles, accounts, logs, sessions, bad input."""

import contextlib
import json
import re
import subprocess
import time

import paramiko
import pexpect
import pytest

from tests.support.lomd import PROMPT, Lomd

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing() or "built")

PASSWORD = "Wonder-Land-1"
# What a read-only account may do all the same: reach another machine, look at the screen, and change its own
# password and keys.
OPEN_TO_READERS = {("/SP/network/test", "ping"), ("/SP/network/test", "ping6"),
                   ("/HOST/screen", "dump"), ("/HOST/screen/last", "dump")}
ELSEWHERE = {"load": "-source http://127.0.0.1:1/x", "dump": "-destination sftp://127.0.0.1:1/x"}


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


class Connection:
    """One SSH connection; each command is an exec of its own."""

    def __init__(self, sp, user="root", password=None):
        self.sp = sp
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self._client.connect("127.0.0.1", sp.ports["ssh"], user, password or sp.password,
                             allow_agent=False, look_for_keys=False)

    def __call__(self, command, timeout=30):
        """(exit status, text)"""
        _, out, _ = self._client.exec_command(command, timeout=timeout)
        text = out.read().decode()
        return out.channel.recv_exit_status(), text

    def close(self):
        self._client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture(scope="module")
def root(sp):
    with Connection(sp) as connection:
        yield connection


@contextlib.contextmanager
def account(root, name, role="o"):
    assert root(f"create /SP/users/{name} role={role} password={PASSWORD}")[0] == 0
    yield
    root(f"delete -script /SP/users/{name}")


def whole_tree(root):
    status, text = root("show -level all -o json /")
    assert status == 0
    return json.loads(text)


def targets_of(view):
    """Every target of a walk; those that show a text or a table only by their path."""
    path = view["Target"]
    yield path, view
    for name, child in view["Targets"].items():
        if child is None:
            yield f"{'' if path == '/' else path}/{name}", None
        else:
            yield from targets_of(child)


def described(root, path):
    """help PATH, read: its doc and its targets, properties and commands with their lines."""
    status, text = root(f"help -format nowrap {path}")
    assert status == 0, text
    lines = text.splitlines()
    assert lines[1].startswith(f" {path} : "), text
    found = {"doc": lines[1].partition(" : ")[2], "Targets": {}, "Properties": {}, "Commands": {}}
    section = None
    for line in lines[2:]:
        if re.fullmatch(r"    (\w+):", line):
            section = found[line.strip(" :")]
        elif line and not line.startswith(" " * 12):  # those say what a command takes
            name, _, rest = line.strip().partition(" : ")
            section.setdefault(name, []).append(rest)
    return found


def values_are_explained(root, path, properties):
    """Each value that one can choose has its line in the help of its property; gives how many there were."""
    count = 0
    for name, lines in properties.items():
        [values] = [line.partition(" = ")[2] for line in lines if line.startswith("Possible values")] or [""]
        if values and values != "true, false":
            told = dict(re.findall(r"^ {12}(\S+) : (.+)$", root(f"help {path} {name}")[1], re.MULTILINE))
            assert list(told) == values.split(", "), (path, name)
            count += len(told)
    return count


# -- the walk

def test_everything_is_documented_and_every_change_names_its_role(root):
    walked = list(targets_of(whole_tree(root)))
    paths = [path for path, _ in walked]
    for path in ("/SP/users/root", "/SP/sessions", "/SP/network/test", "/SP/console", "/HOST/bootmode",
                 "/SP/services/kvms/host_storage_device/remote", "/SP/logs/audit/list",
                 "/HOST/console/history", "/SYS", "/System/Processors", "/System/Memory",
                 "/System/Storage/Disks/disk0", "/System/Networking/Ethernet_NICs/net0"):
        assert path in paths
    explained = 0
    for path, view in walked:
        if path.startswith("/SP/sessions/"):
            continue  # they come and go
        told = described(root, path)
        assert len(told["doc"]) > 3, path
        for name, lines in {**told["Properties"], **told["Commands"], **told["Targets"]}.items():
            assert len(lines[0]) > 3, (path, name)
        explained += values_are_explained(root, path, told["Properties"])
        if view is None:
            continue
        assert list(told["Properties"]) == list(view["Properties"]), path
        assert set(told["Targets"]) == set(view["Targets"]), path
        for command, [line] in told["Commands"].items():
            assert command in view["Commands"], path
            assert re.search(r" User role required = [aucros]+$", line), (path, command)
        writable = [name for name, lines in told["Properties"].items()
                    if any(re.fullmatch("User role required for set = [aucros]+", line) for line in lines)]
        assert ("set" in view["Commands"]) == bool(writable), path
        assert root(f"show {path}")[0] == 0
    assert explained > 20


def test_show_is_the_same_text_and_json(root):
    for path, view in targets_of(whole_tree(root)):
        if view is None or path.startswith("/SP/sessions"):
            continue
        status, text = root(f"show -format nowrap -d properties {path}")
        assert status == 0
        shown = dict(re.findall(r"^        (\S+) = (.*)$", text, re.MULTILINE))
        assert list(shown) == list(view["Properties"]), path
        for name, value in view["Properties"].items():
            if isinstance(value, str) and not name.endswith("time") and (path, name) != FREE_ROOM:
                assert shown[name] == (value or "(none)"), (path, name)
            if value is None:
                assert shown[name] in ("(Cannot show property)", "*****", "(none)"), (path, name)


def test_accounts_show_their_role(root):
    assert root("show /SP/users/root role") == (
        0, "\n  /SP/users/root\n    Properties:\n        role = aucro\n\n")
    assert "password = *****" in root("show /SP/users/root")[1]


def own_login(path, name):
    """One's own password and SSH keys."""
    return (path, name) == ("/SP/users/reader", "password") or path.startswith("/SP/users/reader/ssh/")


def test_a_reader_changes_nothing(sp, root):
    with account(root, "reader", "o"), Connection(sp, "reader", PASSWORD) as reader:
        before = at_rest(whole_tree(root))
        assert at_rest(whole_tree(reader)) == before, "who reads sees the same"
        tried = 0
        for path, view in targets_of(whole_tree(root)):
            if view is None:
                continue
            told = described(reader, path)
            for name, lines in told["Properties"].items():
                if not any(line.startswith("User role required") for line in lines):
                    status, text = reader(f"set -script {path} {name}=x")
                    assert status == 2 and "read-only" in text, (path, name, text)
                elif (path, name) not in OPEN_TO_READERS and not own_login(path, name):
                    status, text = reader(f"set -script {path} {name}=true")
                    assert (status, text[:24]) == (2, "set: Permission denied: "), (path, name, text)
                    tried += 1
            for verb in told["Commands"]:
                required = {"/SP/users": f" password={PASSWORD}", "/System/Storage/Disks": " size=1G"}
                target = f"{path}/new1{required.get(path, '')}" if verb == "create" else path
                if (path, verb) in OPEN_TO_READERS or own_login(path, verb):
                    continue
                status, text = reader(f"{verb} -script {ELSEWHERE.get(verb, '')} {target}")
                assert status == 2 and f"{verb}: Permission denied: " in text, (path, verb, text)
                tried += 1
        assert tried > 40
        assert at_rest(whole_tree(root)) == before
        refused = root("show /SP/logs/audit/list")[1]
        assert refused.count("reader") >= tried


FREE_ROOM = ("/SP/media", "available")  # what anybody on the machine writes counts


def at_rest(tree):
    """Without what changes by itself."""
    sp = tree["Targets"]["SP"]
    sp["Properties"].pop("uptime")
    sp["Targets"]["media"]["Properties"].pop("available")
    for name in ("sessions", "clock"):
        sp["Targets"].pop(name)
    return tree


# -- accounts

def test_a_password_is_asked_twice_and_never_shown(sp, root):
    person = sp.terminal()
    person.send("create /SP/users/asked role=cro\r")
    person.expect_exact("Creating user...\r\n")
    person.expect_exact("Enter new password: ")
    person.send("Hidden-Word-1\r")
    person.expect_exact("Enter new password again: ")
    person.send("Hidden-Word-2\r")
    person.expect_exact("create: The two entries are not the same")
    person.expect(PROMPT)
    person.send("create /SP/users/asked role=cro\r")
    for _ in range(2):
        person.expect(r"Enter new password(?: again)?: ")
        person.send("Hidden-Word-1\r")
    person.expect_exact("Created /SP/users/asked\r\n")
    assert "Hidden" not in person.before
    person.expect(PROMPT)
    person.close()
    with Connection(sp, "asked", "Hidden-Word-1") as asked:
        assert asked("show /SP/users/asked role")[1].count("role = cro") == 1
    status, text = root("delete /SP/users/asked")
    assert status == 2 and "(y/n)? " in text, "nobody answered"
    assert root("show /SP/users/asked")[0] == 0
    done = sp.lom(input="delete /SP/users/asked\ny\n")
    assert "Are you sure you want to delete /SP/users/asked (y/n)? y\nDeleted /SP/users/asked\n" in done.stdout
    assert root("show /SP/users/asked")[0] == 3


def test_roles_decide_and_change_at_once(sp, root):
    with account(root, "worker", "o"), Connection(sp, "worker", PASSWORD) as worker:
        assert worker("set /SP system_contact=me")[0] == 2
        assert root("set /SP/users/worker role=ao") == (0, "Set 'role' to 'ao'\n")
        assert worker("set /SP system_contact=me")[0] == 0, "a session follows its account's role"
        assert root("set /SP/users/worker role=Operator")[0] == 0
        assert "role = cro\n" in root("show /SP/users/worker role")[1]
        assert worker("set /SP system_contact=you")[0] == 2
        # Nobody hands out more than they have.
        assert root("set /SP/users/worker role=u")[0] == 0
        status, text = worker("set /SP/users/worker role=aucro")
        assert status == 2 and "which you do not have" in text
        status, text = worker(f"create /SP/users/friend role=a password={PASSWORD}")
        assert status == 2 and "which you do not have" in text
    root("set /SP system_contact=''")


def test_own_password(sp, root):
    with account(root, "owner", "o"):
        with Connection(sp, "owner", PASSWORD) as owner:
            assert owner("set /SP/users/root password=Stolen-House-1")[0] == 2
            assert owner("set /SP/users/owner password=New-Garden-22") == (0, "Set 'password' to '*****'\n")
        with pytest.raises(paramiko.AuthenticationException):
            Connection(sp, "owner", PASSWORD)
        with Connection(sp, "owner", "New-Garden-22") as owner:
            assert owner("version")[0] == 0


def test_a_deleted_account_is_out_within_a_second(sp, root):
    with account(root, "leaver", "cro"):
        arguments = sp.ssh_arguments(user="leaver", options=["-tt"])
        shell = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=20)
        shell.expect("Password: ")
        shell.sendline(PASSWORD)
        shell.expect(PROMPT)
        console = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=20)
        console.expect("Password: ")
        console.sendline(PASSWORD)
        console.expect(PROMPT)
        console.send("start -script /SP/console\r")
        console.expect_exact("To stop, type #.")
        assert root("delete -script /SP/users/leaver") == (0, "Deleted /SP/users/leaver\n")
        for person in (shell, console):
            person.expect(pexpect.EOF, timeout=1)
            person.close()
        with pytest.raises(paramiko.AuthenticationException):
            Connection(sp, "leaver", PASSWORD)


def test_the_last_user_manager_stays(root):
    for line in ("delete -script /SP/users/root", "set /SP/users/root role=acro"):
        status, text = root(line)
        assert status == 2 and "last account with the role u" in text, text
    with account(root, "deputy", "aucro"), Connection(root.sp, "deputy", PASSWORD) as deputy:
        assert root("set /SP/users/root role=acro")[0] == 0
        try:
            status, text = root("delete -script /SP/users/deputy")
            assert status == 2 and "Permission denied" in text, "root gave the role away"
            status, text = deputy("delete -script /SP/users/deputy")
            assert status == 2 and "last account with the role u" in text, text
        finally:
            assert deputy("set /SP/users/root role=aucro")[0] == 0


# -- logs

def test_the_audit_log_has_every_change_and_no_secret(sp, root):
    root("set -script /SP/logs/audit clear=true")
    deeds = {
        "set /SP system_location='Room 7'": "set /SP system_location='Room 7'",
        f"create /SP/users/noted role=cro password={PASSWORD}": "create /SP/users/noted",
        "set /SP/users/noted password=Other-Secret-9": r"set /SP/users/noted password=*****",
        "set /SP/users/noted role=o": "set /SP/users/noted role='o'",
        "set /SP/services/kvms/host_storage_device/remote password=Image-Secret-9":
            "set /SP/services/kvms/host_storage_device/remote password=*****",
        "set /SP/services/kvms/host_storage_device/remote ssh_key=Key-Secret-9":
            "set /SP/services/kvms/host_storage_device/remote ssh_key=*****",
        "set /System/Processors installed_cpus=0": "set /System/Processors installed_cpus='0'",
        "stop -script /SYS": "stop /SYS",
        "delete -script /SP/users/noted": "delete /SP/users/noted",
    }
    for line in deeds:
        root(line)
    status, text = root("show /SP/logs/audit/list")
    assert status == 0
    for deed in deeds.values():
        assert deed in text, (deed, text)
    assert "root" in text and "127.0.0.1" in text
    for line in ("Secret-9", PASSWORD):
        assert line not in text
        assert line not in root("show /SP/logs/event/list")[1]
        assert line not in root("show -level all /")[1]
        assert line not in sp.log.read_text()
    # What was refused says so.
    assert re.search(r"stop /SYS.*already stopped", re.sub(r"\s+", " ", text)), text
    rows = json.loads(root("show -o json /SP/logs/audit/list")[1])
    assert "set /SP system_location='Room 7'" in json.dumps(rows)
    for line in ("remote password=''", "remote ssh_key=''"):
        root("set /SP/services/kvms/host_storage_device/" + line)
    assert root("set -script /SP/logs/audit clear=true")[0] == 0
    assert "Room 7" not in root("show /SP/logs/audit/list")[1]


def test_the_event_log_is_a_table_newest_first(root):
    status, text = root("show /SP/logs/event/list")
    assert status == 0
    assert text.splitlines()[1].strip() == "Event" or text.splitlines()[0].strip() == "Event"
    assert re.search(r"^ID     Date/Time                 Class     Type      Severity\n"
                     r"-----  -{24}  -{8}  -{8}  -{8}\n"
                     r"\d+ +\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}  System    Log       info\n"
                     r"       \S.*$", text, re.MULTILINE), text


def test_a_log_without_entries_has_the_same_columns(root):
    text = root("show /SP/logs/event/list Severity==down")[1]
    assert re.search(r"^-----  -{24}  -{8}  -{8}  -{8}$", text, re.MULTILINE), text


# -- sessions

def test_sessions_are_listed_and_ended(sp, root):
    victim = sp.terminal()
    assert len(re.findall(r"^        \d+ \(current\)$", root("show /SP/sessions")[1], re.MULTILINE)) == 1
    listed = json.loads(root("show -level 2 -o json /SP/sessions")[1])["Targets"]
    shells = [number for number, view in listed.items()
              if view["Properties"]["type"] == "shell" or "shell" in view["Properties"]["type"]]
    assert shells, listed
    facts = listed[shells[-1]]["Properties"]
    assert facts["username"] == "root" and "127.0.0.1" in facts["source"]
    status, text = root(f"delete -script /SP/sessions/{shells[-1]}")
    assert (status, text) == (0, f"Deleted /SP/sessions/{shells[-1]}\n")
    victim.expect(pexpect.EOF, timeout=1)
    assert root(f"show /SP/sessions/{shells[-1]}")[0] == 3
    assert root("version")[0] == 0


# -- network

def test_ping_answers_and_holds_nobody_up(sp, root):
    assert root("set /SP/network/test ping=127.0.0.1") == (0, "Ping of 127.0.0.1 succeeded\n")
    slow = sp.ssh_popen("set /SP/network/test ping=203.0.113.77", stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE, text=True)
    began = time.monotonic()
    with Connection(sp) as other:
        started = time.monotonic()
        while slow.poll() is None and time.monotonic() - began < 12:
            assert other("version")[0] == 0
            assert time.monotonic() - started < 1.5, "another session had to wait"
            started = time.monotonic()
            time.sleep(0.1)
    assert slow.wait(1) == 4, "a script sees the failure by the status"
    assert time.monotonic() - began < 11
    assert slow.stdout.read() == "Ping of 203.0.113.77 failed\n"
    slow.stdout.close()


# -- bad input

LONG = "x" * 3000
BAD = [
    # line, status, what it says
    ("foo", 1, "Invalid command 'foo' - type help for a list of commands."),
    ("shwo /SP", 1, "Did you mean 'show'?"),
    ("set /HOST boot_device=cdrm", 2, "Did you mean 'cdrom'?"),
    ("set /HOST boot_device=dsik", 2, "Did you mean 'disk'?"),
    ("start -scirpt /SYS", 1, "Did you mean '-script'?"),
    ("set /HOST boot_deivce=disk", 3, "Did you mean 'boot_device'?"),
    ("show /SP/netwrok", 3, "Did you mean /SP/network?"),
    ("show -nonsense /SP", 1, "show: Invalid option -nonsense"),
    ("show -level 0 /SP", 1, "show: Invalid value '0' of option -level"),
    ("show -level", 1, "show: Option -level needs"),
    ("show /SP version=1", 1, "Unexpected filter type"),
    ("show /SP/nowhere", 3, "show: Invalid target /SP/nowhere"),
    ("show /SP nothing", 3, "show: No matching properties found"),
    ("set /SP", 1, "set: Invalid command syntax"),
    ("set /SP hostname", 1, "set: Invalid command syntax"),
    ("set /SP =x", 1, "set: "),
    ("set /SP nothing=1", 3, "set: No matching properties found"),
    ("set /SP/nowhere x=1", 3, "set: Invalid target /SP/nowhere"),
    ("set /SP version=1", 2, "set: The property 'version' is read-only."),
    ("set /SP hostname='a b'", 2, "set: Invalid"),
    ("set /SP hostname=-x", 2, "set: Invalid"),
    (f"set /SP system_contact={LONG}", 2, "set: Invalid"),
    ("set /SP/services/kvms/host_storage_device mode=maybe", 2, "set: Invalid value for 'mode'"),
    ("set /SP/services/kvms/host_storage_device/remote server_URI=ftp://x/y", 2, "set: "),
    ("set /SP/services/kvms/host_storage_device/remote server_URI='sshfs://-oProxyCommand=x:/y'", 2, "set: "),
    ("set /SP/services/kvms/host_storage_device/remote server_URI='sshfs://h:/../../etc/x'", 2, "set: "),
    ("set /SP/services/kvms/host_storage_device/remote server_URI='sshfs://h:/a\nb'", 2, "set: "),
    ("set /HOST boot_device=tape", 2, "set: Invalid value for 'boot_device'"),
    ("set /HOST/console line_count=-1", 2, "set: "),
    ("set /HOST/console line_count=99999999999999999999", 2, "set: Invalid value for 'line_count'"),
    ("set /HOST/console escapechars=x", 2, "set: "),
    (f"set /HOST/bootmode script='{LONG}'", 2, "set: "),
    ("set /SP/network/test ping='-f 1.1.1.1'", 2, "set: "),
    ("set /SP/network/test ping='1.1.1.1;reboot'", 2, "set: "),
    ("create /SP/users/9x role=o password=Wonder-Land-1", 2, "create: "),
    ("create /SP/users/has.dot role=o password=Wonder-Land-1", 2, "create: "),
    ("create /SP/users/abc role=xyz password=Wonder-Land-1", 2, "create: Invalid"),
    ("create /SP/users/abc role=o password=short", 2, "create: Invalid"),
    ("create /SP/users/abc role=o password=Wonder-Land-1 shoe=9", 3, "create: No matching properties"),
    ("create /SP/users/root role=o password=Wonder-Land-1", 2, "create: /SP/users/root exists already"),
    ("create /SP/users/abc/def role=o password=Wonder-Land-1", 3, "create: Invalid target"),
    ("create /SP/x role=o", 3, "create: "),
    ("create /System/Storage/Disks/disk1", 1, "create: "),
    ("create /System/Storage/Disks/disk1 size=big", 2, "create: Invalid"),
    ("delete -script /SP/users", 2, "delete: "),
    ("delete -script /SP/users/nobody", 3, "delete: Invalid target"),
    ("start -script /SP", 2, "start: "),
    ("stop -script /SYS", 2, "stop: Target already stopped"),
    ("cd /nowhere", 3, "cd: Invalid target /nowhere"),
    ("load /SP", 1, "load: "),
    ("dump -destination x /SP", 2, "dump: "),
    ("show '/SP", 1, "a quote is not closed"),
    ("show /SP/\x01\x02", 3, "show: Invalid target"),
    ("set /SP system_contact=a\x1b[31mb", 2, "control character"),
    ("set /SP system_contact='a\nb'", 2, "control character"),
    ("show /SP/" + "a/" * 2000, 3, "show: Invalid target"),
]


@pytest.mark.parametrize("line,status,says", BAD, ids=[str(index) for index in range(len(BAD))])
def test_bad_input_has_its_sentence(root, line, status, says):
    got, text = root(line)
    assert (got, says in text) == (status, True), (line[:100], got, text[:500])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), "no control character comes back"
    assert len(text) < 5000, "a sentence, not what was typed"


@pytest.mark.parametrize("line,status,says", [
    (b"\0", 1, "Invalid command"),
    (b"show /SP\0/users", 3, "show: Invalid target"),
    (b"set /SP system_contact=a\0b", 2, "control character"),
    (b"set /SP system_contact=" + b"x" * 100_000, 1, "a line holds at most"),
    (b"show " + b"/SP " * 3000, 3, "No matching properties"),
    (b"\xff\xfe\x80", 1, "Invalid command"),
    (b"show /\xc3", 1, ""),
    (b"set /SP system_contact=Z\xc3", 1, "UTF-8"),
    (bytes(range(1, 10)) + bytes(range(14, 256)), 1, "Invalid command"),
])
def test_bad_bytes_from_a_pipe(sp, line, status, says):
    done = subprocess.run(sp.lom("version").args[:3], input=line + b"\n", capture_output=True, timeout=20)
    text = done.stdout.decode()  # nothing broken comes back
    assert (done.returncode, says in text) == (status, True), (done.returncode, text[:500])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), text
    assert len(text) < 5000
    done = subprocess.run(sp.lom("version").args[:3], input=line + b"\nversion\n", capture_output=True, timeout=20)
    assert done.stdout.endswith(b"\n") and b"SP firmware" in done.stdout, "the session goes on"


def test_bad_input_changed_nothing(root):
    tree = whole_tree(root)["Targets"]
    assert list(tree["SP"]["Targets"]["users"]["Targets"]) == ["root"]
    assert tree["SP"]["Properties"]["system_contact"] == ""
    assert tree["SP"]["Targets"]["services"]["Targets"]["kvms"]["Targets"]["host_storage_device"]["Targets"][
        "remote"]["Properties"]["server_URI"] == ""
    assert tree["HOST"]["Targets"]["bootmode"]["Properties"]["script"] == ""
