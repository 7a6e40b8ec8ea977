"""The shell through its real doors: OpenSSH's client, paramiko, and lom on the SP's machine."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import paramiko
import pexpect
import pytest

from tests.support.lomd import PROMPT, Lomd, wait_until

pytestmark = pytest.mark.skipif(bool(Lomd.missing()), reason=Lomd.missing() or "built")


@pytest.fixture(scope="module")
def sp():
    with Lomd() as lomd:
        yield lomd


@pytest.fixture
def own_sp():
    """For tests that kill it."""
    with Lomd() as lomd:
        yield lomd


def say(person, line, expect=PROMPT):
    person.send(line + "\r")
    person.expect(expect)
    return person.before


def paramiko_client(sp, **options):
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", sp.ports["ssh"], "root", sp.password, allow_agent=False,
                   look_for_keys=False, **options)
    return client


# -- one command

@pytest.mark.parametrize("line,status", [
    ("show /SP", 0),
    ("version", 0),
    ("foo", 1),
    ("show -nonsense", 1),
    ("set /SP version=1", 2),
    ("show /SP/nowhere", 3),
    ("show /SP nothing", 3),
    ("set /SP nothing=1", 3),
    ("", 0),
])
def test_exit_status_is_the_same_through_lom_and_ssh(sp, line, status):
    by_ssh = sp.ssh(line) if line else sp.ssh(" ")
    assert by_ssh.returncode == status, by_ssh
    by_lom = sp.lom(line) if line else sp.lom(" ")
    assert by_lom.returncode == status, by_lom
    assert by_ssh.stdout == by_lom.stdout


def test_words_are_joined(sp):
    assert sp.lom("show", "/SP", "version").stdout == sp.lom("show /SP version").stdout
    assert sp.lom("set", "/SP", "system_contact=two words").stdout == "Set 'system_contact' to 'two words'\n"
    assert '"two words"' in sp.ssh("show -o json /SP system_contact").stdout


def test_no_lomd_is_said(tmp_path, sp):
    lost = subprocess.run([*sp.lom("--version").args[:1], "--run-dir", tmp_path, "show", "/"],
                          capture_output=True, text=True, timeout=20)
    assert lost.returncode == 4
    assert "start lomd" in lost.stderr


# -- lines from a pipe

@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_piped_lines(sp, end):
    lines = end.join(["cd /SP/users", "show -d properties root", "foo", "version", ""])
    for done in (sp.ssh(input=lines), sp.lom(input=lines)):
        assert done.stdout.startswith("/SP/users\n\n\n  /SP/users/root\n    Properties:\n"), done
        assert "\n\nInvalid command 'foo' - type help for a list of commands.\n" in done.stdout
        assert re.search(r"\nSP firmware \S+\n", done.stdout)
        assert done.returncode == 1


def test_piped_question_takes_the_next_line(sp):
    lines = "create /SP/users/piped role=o password=Wonder-Land-1\ndelete /SP/users/piped\nn\n" \
            "delete /SP/users/piped\ny\nshow /SP/users/piped\n"
    done = sp.ssh(input=lines)
    assert "Are you sure you want to delete /SP/users/piped (y/n)? n\nCommand aborted.\n" in done.stdout
    assert done.stdout.count("(y/n)? y\n") == 1
    assert done.stdout.rstrip().splitlines()[-2].startswith("show: Invalid target /SP/users/piped") or \
        "show: Invalid target /SP/users/piped" in done.stdout
    assert done.returncode == 3


def test_here_document_on_a_terminal(sp):
    done = sp.ssh(options=["-tt"], input="reset -script /SYS\nstop /SYS\nn\nexit\n")
    assert "(y/n)? " in done.stdout and "Command aborted." in done.stdout
    assert done.returncode == 0


def test_end_of_input_ends_a_terminal_session(sp):
    for _ in range(40):  # the end comes at another moment of the command each time
        done = sp.ssh(options=["-tt"], input="version\n", timeout=20)
        assert "SP firmware" in done.stdout and done.returncode == 0


# -- a person

def test_banner_prompt_and_exit(sp):
    arguments = sp.ssh_arguments()
    person = pexpect.spawn(arguments[0], ["-tt", *arguments[1:]], encoding="utf-8", timeout=20)
    person.expect(r"Password: $")
    person.sendline(sp.password)
    person.expect(PROMPT)
    assert re.search(r"\r\n\r\nOpenLOM Integrated Lights Out Manager\r\n\r\nVersion \d\S*[^\r]*\r\n\r\n"
                     r"Hostname: \S+\r\n$", person.before)
    person.send("exit\r")
    person.expect(pexpect.EOF)
    # close() hangs up on a client that has let go of its terminal and not ended yet.
    wait_until(lambda: not person.isalive(), 20, "the client has ended")
    assert person.exitstatus == 0


def test_tab_completes_and_lists(sp):
    person = sp.terminal()
    person.send("sh\t/SP/us\tro\t\r")
    person.expect_exact("\r\n /SP/users/root\r\n")
    person.expect(PROMPT)
    person.send("set /SP sys\t\t")
    person.expect("system_contact +Whom")
    person.expect("system_location")
    person.sendcontrol("c")
    person.expect(PROMPT)
    person.close()


def test_history_editing_and_utf8(sp):
    person = sp.terminal()
    say(person, "set /SP system_location='Zürich Nord'")
    person.send("\x1b[A\r")  # the line again
    person.expect("Set 'system_location' to 'Zürich Nord'")
    person.expect(PROMPT)
    person.send("show /SX\x7fP system_location\x01\x05\r")
    person.expect("system_location = Zürich Nord")
    person.expect(PROMPT)
    person.send("garbage\x03")
    person.expect(r"\^C\r\n-> ")
    person.send("\x04")
    person.expect(pexpect.EOF)


def test_secrets_stay_out_of_the_history_and_the_screen(sp):
    person = sp.terminal()
    say(person, "create /SP/users/hush role=o password=Hidden-Word-9")
    person.send("\x1b[A")
    with pytest.raises(pexpect.TIMEOUT):
        person.expect("Hidden-Word-9", timeout=1)
    person.send("\x03")
    person.expect(PROMPT)
    person.send("set /SP/users/hush password\r")
    person.expect("Enter new password: ")
    person.send("Hidden-Word-8\r")
    person.expect("Enter new password again: ")
    assert "Hidden" not in person.before
    person.send("Hidden-Word-8\r")
    person.expect(r"Set 'password' to '\*\*\*\*\*'")
    person.expect(PROMPT)
    say(person, "delete -script /SP/users/hush")
    person.close()


def test_long_output_pauses(sp):
    person = sp.terminal(size=(12, 80))
    person.send("show -level all /SP\r")
    person.expect("Paused: press any key to continue, or 'q' to quit")
    assert person.before.count("\r\n") <= 12
    person.send(" ")
    person.expect("Paused: press any key")
    person.send("q")
    person.expect(PROMPT)
    person.send("show -level all -script /SP\r")
    person.expect(PROMPT)
    assert "Paused" not in person.before
    person.send("show -level all /SP\r")
    person.expect("Paused")
    person.send("a")
    person.expect(PROMPT)
    assert "Paused" not in person.before
    person.close()


def test_window_follows_the_client(sp):
    person = sp.terminal(size=(60, 100))
    say(person, "show /SP")
    person.setwinsize(8, 100)

    def pauses():  # the change has no acknowledgement of its own
        person.send("show /SP\r")
        return person.expect(["Paused: press any key", PROMPT]) == 0
    wait_until(pauses, 10, "the shell sees the new height")
    person.close()


def test_ctrl_c_at_a_question_aborts(sp):
    person = sp.terminal()
    person.send("stop /SYS\r")
    person.expect(r"\(y/n\)\? ")
    person.send("\x03")
    person.expect("Command aborted")
    person.expect(PROMPT)
    person.close()


# -- logging in

def test_password_method_and_keyboard_interactive(sp):
    for method in ("password", "keyboard-interactive"):
        done = sp.ssh("version", options=["-o", f"PreferredAuthentications={method}"])
        assert done.returncode == 0, (method, done)


def test_wrong_password_three_times(sp):
    arguments = sp.ssh_arguments(options=["-o", "NumberOfPasswordPrompts=9"])
    person = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=60)
    for _ in range(3):
        person.expect("Password: ")
        person.sendline("wrong")
    assert person.expect(["Password: ", pexpect.EOF]) == 1


def test_none_and_publickey_do_not_open_the_door(sp):
    transport = paramiko.Transport(("127.0.0.1", sp.ports["ssh"]))
    transport.start_client(timeout=20)
    with pytest.raises(paramiko.BadAuthenticationType) as refused:
        transport.auth_none("root")
    assert set(refused.value.allowed_types) == {"publickey", "password", "keyboard-interactive"}
    with pytest.raises(paramiko.SSHException):
        transport.open_session(timeout=10)
    transport.close()


def test_success_message_from_the_client_does_not_open_the_door(sp):
    transport = paramiko.Transport(("127.0.0.1", sp.ports["ssh"]))
    transport.start_client(timeout=20)
    message = paramiko.Message()
    message.add_byte(b"\x34")  # SSH_MSG_USERAUTH_SUCCESS
    transport._send_message(message)
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        transport.open_session(timeout=10)
    transport.close()


def test_keyboard_interactive_shows_only_the_prompt(sp):
    transport = paramiko.Transport(("127.0.0.1", sp.ports["ssh"]))
    transport.start_client(timeout=20)
    seen = []

    def answer(title, instructions, prompts):
        seen.append((title, instructions, prompts))
        return [sp.password]
    transport.auth_interactive("root", answer)
    assert seen == [("", "", [("Password: ", False)])]
    transport.close()


def test_only_modern_algorithms(sp):
    for option in ("KexAlgorithms=diffie-hellman-group14-sha1", "Ciphers=aes128-cbc",
                   "MACs=hmac-sha1", "HostKeyAlgorithms=ssh-rsa"):
        cipher = [] if option.startswith("Ciphers") else ["-c", "aes256-ctr"]
        assert sp.ssh("version", options=cipher).returncode == 0
        done = sp.ssh("version", options=[*cipher, "-o", option])
        assert done.returncode == 255, option


# -- channels

def test_many_sessions_on_one_connection(sp):
    client = paramiko_client(sp)
    running = [client.exec_command("show -level all /SP/users") for _ in range(10)]
    texts = {out.read() for _, out, _ in running}
    assert len(texts) == 1 and b"/SP/users/root" in texts.pop()
    assert {out.channel.recv_exit_status() for _, out, _ in running} == {0}
    for _ in range(25):  # one after the other: ended ones count no more
        _, out, _ = client.exec_command("foo")
        out.read()
        assert out.channel.recv_exit_status() == 1
        out.channel.close()
    client.close()


def test_what_is_not_offered_is_refused(sp):
    client = paramiko_client(sp)
    transport = client.get_transport()
    with pytest.raises(paramiko.ChannelException):
        transport.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=10)
    with pytest.raises(paramiko.SSHException):
        transport.request_port_forward("127.0.0.1", 0)
    channel = transport.open_session(timeout=10)
    with pytest.raises(paramiko.SSHException):
        channel.exec_command("x" * 100_000)
    _, out, _ = client.exec_command("version")
    assert out.read().startswith(b"SP firmware")
    client.close()


def children_of(parent):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def helpers_of(sp):
    """Each lom-ssh that serves a connection, with its lom processes; all children of one."""
    def named(pids):
        return [pid for pid in pids
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "lom-ssh"]
    return {server: children_of(server) for reception in named(children_of(sp.process.pid))
            for server in named(children_of(reception))}


def runs(pid):
    """A zombie has ended: whoever is process 1 here may be slow to reap orphans."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_everything_ends_with_the_client(sp):
    wait_until(lambda: not helpers_of(sp), 10, "earlier clients are gone")
    person = sp.terminal()
    watcher = sp.ssh_popen("start -script /SP/console", stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE)
    assert b"Serial console started." in watcher.stdout.readline()
    helpers = helpers_of(sp)
    assert [len(shells) for shells in helpers.values()] == [1, 1]
    os.kill(person.pid, signal.SIGKILL)
    watcher.kill()
    watcher.wait()
    watcher.stdout.close()
    person.close()
    pids = [pid for server, shells in helpers.items() for pid in (server, *shells)]
    wait_until(lambda: not any(runs(pid) for pid in pids), 10, "lom and lom-ssh end")


def test_a_client_that_stops_reading_costs_no_memory(sp):
    client = paramiko_client(sp)
    before = helpers_of(sp)
    lazy = paramiko_client(sp)
    [server] = set(helpers_of(sp)) - set(before)
    channel = lazy.get_transport().open_session(window_size=1 << 16)
    channel.invoke_shell()

    def resident():
        with open(f"/proc/{server}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
    before = resident()
    channel.sendall(b"show -script -level all /\n" * 8000)  # tens of megabytes of output
    # Everyone else goes on meanwhile.
    for _ in range(5):
        _, out, _ = client.exec_command("version")
        assert out.read().startswith(b"SP firmware")
    assert resident() - before < 8_000
    lazy.close()
    client.close()


def test_strangers_are_dropped(sp):
    for nonsense in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-1.5-old\r\n", b"\x00" * 4096,
                     b"SSH-2.0-x\r\n" + os.urandom(2000)):
        with socket.create_connection(("127.0.0.1", sp.ports["ssh"]), 10) as stranger:
            stranger.settimeout(20)
            stranger.sendall(nonsense)
            stranger.shutdown(socket.SHUT_WR)
            while True:
                try:
                    if not stranger.recv(4096):
                        break
                except ConnectionResetError:
                    break
    assert sp.ssh("version").returncode == 0


def test_a_megabyte_pasted(sp):
    client = paramiko_client(sp)
    channel = client.invoke_shell(width=120, height=40)
    channel.settimeout(60)
    writer = threading.Thread(target=channel.sendall, args=(b"x" * (1 << 20) + b"\rversion\r",))
    writer.start()
    seen = b""
    while b"SP firmware" not in seen:
        seen += channel.recv(65536)
    assert b"Invalid command 'xxxx" in seen
    writer.join(10)
    client.close()


def test_the_end_of_much_input_is_seen(sp):
    """It may come in while the last bytes are still read; tried several times, for it is a race."""
    client = paramiko_client(sp)
    for _ in range(8):
        channel = client.get_transport().open_session()
        channel.settimeout(20)
        channel.invoke_shell()  # without a terminal: lines on standard input
        channel.sendall(b"x" * 1_000_000)
        channel.shutdown_write()
        assert channel.makefile().read().startswith(b"Invalid command - a line holds at most")
        assert channel.recv_exit_status() == 1
    client.close()


# -- the console

def test_console_opens_and_returns(sp):
    person = sp.terminal()
    person.send("start /SP/console\r")
    person.expect_exact("Are you sure you want to start /SP/console (y/n)? ")
    person.send("y\r")
    person.expect_exact("Serial console started.  To stop, type #.\r\n")
    person.send("#.")
    person.expect_exact("\r\nSerial console stopped.\r\n\r\n-> ")
    person.send("start -f -script /HOST/console\r")
    person.expect_exact("Serial console started.")
    person.send("#.version\r")  # what follows the escape is a command already
    person.expect("SP firmware")
    person.close()


def test_console_says_who_holds_it_and_force_takes_it(sp):
    first = sp.terminal()
    first.send("start -script /SP/console\r")
    first.expect_exact("To stop, type #.")
    second = sp.terminal()
    second.send("start -script /SP/console\r")
    second.expect_exact("Serial console started.")
    second.expect(r"\[read-only console session: root[^\]]*start -force /")
    second.send("#.")
    second.expect_exact("Serial console stopped.\r\n\r\n-> ")
    second.send("start -force -script /SP/console\r")
    second.expect_exact("Serial console started.")
    first.expect(r"\[read-only console session: root")
    say(sp.terminal(), "stop -script /SP/console")
    for person in (first, second):
        person.expect_exact("\r\nSerial console stopped.\r\n\r\n-> ")
        person.close()


def test_console_from_a_pipe(sp):
    done = sp.ssh(input="start -script /SP/console\n#.version\n", timeout=30)
    assert "Serial console started.  To stop, type #.\n" in done.stdout
    assert "Serial console stopped.\n" in done.stdout
    assert "SP firmware" in done.stdout
    began = time.monotonic()
    done = sp.ssh("start -script /SP/console", input="\n", timeout=30)
    assert "Serial console stopped." in done.stdout, "input ended and nothing was said for a second"
    assert time.monotonic() - began < 10


# -- lomd comes and goes

def test_a_person_survives_kill_minus_nine(own_sp):
    sp = own_sp
    person = sp.terminal()
    say(person, "cd /SP/users")
    sp.kill9()
    person.expect_exact("The service processor is restarting...")
    sp.start()
    person.expect(PROMPT)
    assert " /SP/users\r\n" in say(person, "show")
    console = sp.terminal()
    console.send("start -script /SP/console\r")
    console.expect_exact("To stop, type #.")
    sp.kill9()
    console.expect_exact("The service processor is restarting...")
    sp.start()
    console.send("#.")
    console.expect_exact("Serial console stopped.\r\n\r\n-> ")
    assert "SP firmware" in say(console, "version")
    person.expect_exact("The service processor is restarting...")
    person.expect(PROMPT)
    assert "SP firmware" in say(person, "version")
    # The same SSH connection can still open sessions.
    client = paramiko_client(sp)
    sp.kill9()
    sp.start()
    _, out, _ = client.exec_command("version")
    assert out.read().startswith(b"SP firmware")
    client.close()


def test_reset_of_the_service_processor(own_sp):
    person = own_sp.terminal()
    person.send("reset /SP\r")
    person.expect_exact("Are you sure you want to reset /SP (y/n)? ")
    person.send("y\r")
    person.expect_exact("Performing reset on /SP")
    person.expect_exact("The service processor is restarting...")
    person.expect("-> ")
    assert "SP firmware" in say(person, "version")
    person.close()


def test_a_deleted_session_ends(sp):
    victim = sp.terminal()
    judge = sp.terminal()
    listed = say(judge, "show -script -level 2 -o json /SP/sessions")
    ids = re.findall(r'"(\d+)": \{', listed)
    assert len(ids) >= 2
    say(judge, "create /SP/users/brief role=o password=Wonder-Land-1")
    arguments = sp.ssh_arguments(user="brief", options=["-tt"])
    brief = pexpect.spawn(arguments[0], arguments[1:], encoding="utf-8", timeout=20)
    brief.expect("Password: ")
    brief.sendline("Wonder-Land-1")
    brief.expect(PROMPT)
    say(judge, "delete -script /SP/users/brief")
    brief.expect(pexpect.EOF, timeout=2)
    assert "SP firmware" in say(victim, "version")
    victim.close()
    judge.close()
