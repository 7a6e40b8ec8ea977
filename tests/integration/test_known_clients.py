"""OpenSSH, dropbear's dbclient, PuTTY's plink, paramiko, asyncssh and Ansible at the service processor's door,
and the habits of those who come from ILOM."""

import paramiko
import pexpect
import pytest

from tests.support import ssh_clients
from tests.support.lomd import PROMPT, Lomd, wait_until

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing() or "built")

PAUSED = "Paused: press any key to continue, or 'q' to quit"


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


def chosen(clients, name):
    missing = clients[name].missing()
    if missing:
        pytest.skip(f"not installed: {missing}")
    return clients[name]


@pytest.fixture(params=ssh_clients.ALL)
def client(request):
    return chosen(ssh_clients.ALL, request.param)


@pytest.fixture(params=[name for name, client in ssh_clients.ALL.items() if hasattr(client, "lines")])
def typist(request):
    return chosen(ssh_clients.ALL, request.param)


@pytest.fixture(params=ssh_clients.PROGRAMS)
def program(request):
    return chosen(ssh_clients.PROGRAMS, request.param)


def log_in(sp, program):
    person = program.person(sp)
    person.expect("Password: $")
    person.send(sp.password + "\r")
    person.expect(PROMPT)
    return person


def say(person, line, expect=PROMPT):
    person.send(line + "\r")
    person.expect(expect)
    return person.before


# -- without a terminal

def test_one_command(sp, client):
    done = client.command(sp, "show -d properties /SP/users/root")
    expected = sp.lom("show -d properties /SP/users/root").stdout
    assert (done.status, done.output.split()) == (0, expected.split())


@pytest.mark.parametrize("line,status,text", [
    ("foo", 1, "Invalid command 'foo' - type help for a list of commands."),
    ("set /SP version=1", 2, "set: "),
    ("show /SP/nowhere", 3, "show: Invalid target /SP/nowhere"),
])
def test_a_failure_has_its_status(sp, client, line, status, text):
    done = client.command(sp, line)
    assert (done.status, text in done.output) == (status, True), done


def test_lines_on_standard_input(sp, typist):
    name = type(typist).__name__.lower()
    done = typist.lines(sp, f"create -script /SP/users/{name} role=o password=Wonder-Land-1\n"
                            f"delete /SP/users/{name}\ny\nshow /SP/users/{name}\ncd /SP\nversion\nexit\n")
    assert f"Are you sure you want to delete /SP/users/{name} (y/n)? y\n" in done.output, done
    assert f"show: Invalid target /SP/users/{name}\n" in done.output
    assert "\r" not in done.output


def test_a_question_at_the_end_of_input_is_no(sp, typist):
    done = typist.lines(sp, "stop /SYS\n")
    assert "Are you sure you want to stop /SYS (y/n)? " in done.output and "Command aborted." in done.output
    assert done.status == 2


@pytest.mark.parametrize("nonsense", ["show /SYS | more", "show /SYS > file", "show /SYS; version", "$(reboot)",
                                      "show /SYS && version", "`id`", "\\", "'", "|", "show | grep x"])
def test_what_a_unix_shell_would_take_gets_an_error(sp, nonsense):
    done = sp.ssh(nonsense)
    assert done.returncode in (1, 3), done
    assert "uid=" not in done.stdout and "firmware" not in done.stdout
    assert sp.ssh(input=f"{nonsense}\nversion\n").stdout.count("SP firmware") == 1


# -- a person at a terminal

def test_log_in_and_out(sp, program):
    person = program.person(sp)
    person.expect("Password: $")
    person.send(sp.password + "\r")
    person.expect(PROMPT)
    assert "\r\n\r\nOpenLOM Integrated Lights Out Manager\r\n\r\nVersion " in person.before
    assert "\n" not in person.before.replace("\r\n", ""), "each line ends in CR LF"
    assert sp.password not in person.before
    assert " /SP/users/root\r\n" in say(person, "show /SP/users/root")
    person.send("exit\r")
    person.expect(pexpect.EOF)
    # close() hangs up on a client that has let go of its terminal and not ended yet.
    wait_until(lambda: not person.isalive(), 20, "the client has ended")
    assert person.exitstatus == 0


def test_the_third_try_counts():
    """That there is no fourth is tried with OpenSSH. (Each wrong one takes longer than the last.)"""
    with Lomd() as sp:
        person = chosen(ssh_clients.PROGRAMS, "plink").person(sp)
        for answer in ("wrong", "wrong", sp.password):
            person.expect("[Pp]assword: ")
            person.send(answer + "\r")
        person.expect(PROMPT)
        person.close()


def test_force_still_asks(sp, program):
    person = log_in(sp, program)
    for line in ("start -f /SP/console", "start /HOST/console -force"):
        person.send(line + "\r")
        target = "/HOST/console" if "HOST" in line else "/SP/console"
        person.expect_exact(f"Are you sure you want to start {target} (y/n)? ")
        person.send("n\r")
        person.expect("Command aborted.\r\n\r\n-> $")
    for line in ("start -script /SP/console", "start /HOST/console -f -script"):
        person.send(line + "\r")
        person.expect_exact("\r\nSerial console started.  To stop, type #.\r\n")
        assert "(y/n)" not in person.before
        person.send("#.")
        person.expect_exact("\r\nSerial console stopped.\r\n\r\n-> ")
    person.close()


def test_who_loses_the_console_is_told(sp, program):
    person = log_in(sp, program)
    person.send("start -script /SP/console\r")
    person.expect_exact("To stop, type #.\r\n")
    assert sp.lom("stop -script /SP/console").returncode == 0
    person.expect_exact("\r\nSerial console stopped.\r\n\r\n-> ")
    assert "SP firmware" in say(person, "version")
    person.close()


def test_the_pager(sp, program):
    person = log_in(sp, program)
    say(person, "show -level all /SP", PAUSED)
    person.send("q")
    person.expect(PROMPT)
    say(person, "show -level all /SP", PAUSED)
    person.send("a")
    person.expect(PROMPT)
    assert "Paused" not in person.before and "/SP/users/root" in person.before
    assert "Paused" not in say(person, "show -level all -script /SP")
    person.close()


# -- names and options

@pytest.mark.parametrize("one,other,shared", [
    ("/SYS", "/System", "power_state"), ("/SP/console", "/HOST/console", ""),
    ("/sys", "/SYS", ""), ("/SP/users/", "/SP/users", "")])
def test_two_names_of_one_target(sp, one, other, shared):
    texts = [sp.ssh(f"show -d properties {name} {shared}").stdout for name in (one, other)]
    properties = [[line for line in text.splitlines() if " = " in line] for text in texts]
    assert properties[0] == properties[1] and (properties[0] or not shared)


@pytest.mark.parametrize("orders", [
    ["show -level 2 -d properties /SP/users", "show /SP/users -d properties -l 2",
     "show -display properties /SP/users -level 2"],
    ["show -o json /SP version", "show /SP -output json version", "show /SP version -o json"],
    ["start -script -examine /SYS", "start /SYS -script -examine", "start -x /SYS -script"],
])
def test_options_in_any_order(sp, orders):
    answers = [sp.ssh(line) for line in orders]
    assert {(done.returncode, done.stdout) for done in answers} == {(0, answers[0].stdout)}


# -- how one logs in

def test_password_and_keyboard_interactive(sp):
    transport = paramiko.Transport(("127.0.0.1", sp.ports["ssh"]))
    transport.start_client(timeout=20)
    assert transport.auth_password("root", sp.password, fallback=False) == []
    transport.close()
    asked = []
    transport = paramiko.Transport(("127.0.0.1", sp.ports["ssh"]))
    transport.start_client(timeout=20)
    transport.auth_interactive("root", lambda *what: asked.append(what) or [sp.password])
    assert asked == [("", "", [("Password: ", False)])]
    transport.close()
