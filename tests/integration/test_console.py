"""The host's serial console through real parts: OpenSSH's client, lomd, QEMU, the demo Linux."""

import hashlib
import os
import re
import time

import pytest

from tests.support import demo_host
from tests.support.console_client import ConsoleClient
from tests.support.lomd import PROMPT, wait_until

STREAM_BYTES = 10_000_000 if os.environ.get("LOM_FULL") == "1" else 2_000_000
LOOK_LIMIT = 0.2  # seconds, the slowest `show /SP` but for one in a hundred

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(300),
              pytest.mark.skipif(bool(demo_host.missing()), reason=demo_host.missing() or "built")]


@pytest.fixture(scope="module")
def sp(tmp_path_factory):
    """A lomd whose host runs the demo Linux; each test leaves its shell at the prompt."""
    with demo_host.booted(tmp_path_factory.mktemp("images")) as lomd:
        yield lomd


@pytest.fixture
def attach(sp):
    """Makes clients; whatever a test leaves open is closed."""
    clients = []

    def make(*options, **more):
        clients.append(ConsoleClient(sp, *options, **more))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def console(attach):
    client = attach()
    client.send(b"\x03\r")  # whatever a failed test left running
    wait_until(client.at_guest_prompt, 20, "the guest's shell waits")
    return client


def stream_of(output):
    """Body and promised digest of what lomtest-stream wrote."""
    found = re.search(rb"BEGIN lomtest-stream \d+ \d+\n(.*)\nEND lomtest-stream sha256=([0-9a-f]{64})\n", output,
                      re.DOTALL)
    assert found, output[-300:]
    return found[1], found[2].decode()


def test_a_stream_arrives_byte_for_byte(console):
    began = time.monotonic()
    body, digest = stream_of(console.run(f"lomtest-stream {STREAM_BYTES} 3", limit=200))
    print(f"{STREAM_BYTES / (time.monotonic() - began) / 1e3:.0f} kB/s through ssh")
    assert len(body) == STREAM_BYTES
    assert hashlib.sha256(body).hexdigest() == digest


def test_typed_bytes_reach_the_guest(console):
    data = bytes(random_bytes(20_000)).replace(b"#", b"_")
    since = console.type_line(f"lomtest-receive {len(data)}")
    console.wait_for(rb"READY lomtest-receive \d+\r+\n", since=since)
    console.send(data)
    got = console.wait_for(rb"RECEIVED lomtest-receive sha256=([0-9a-f]{64})", 60, since)[1].decode()
    assert got == hashlib.sha256(data).hexdigest()
    wait_until(console.at_guest_prompt, 20, "the guest's shell waits")


def random_bytes(count):
    return hashlib.shake_256(b"typed").digest(count)


def test_one_writes_and_the_others_watch(sp, console, attach):
    watcher = attach()
    notice = watcher.wait_for(rb"\[read-only console session: ([^\]]*) has the right to type; ([^\]]*)\]\r\n")
    assert notice[1].startswith(b"root (127.0.0.1") and b"start -force /SP/console takes it" in notice[2]
    watcher.send(b"echo intruder\r")
    since = watcher.position()
    assert "written" in console.run("echo writ''ten").decode()
    watcher.wait_for(rb"\nwritten\r+\n", since=since)
    assert b"intruder" not in watcher.console() + console.console()

    taker = attach("-force")
    console.wait_for(rb"\[read-only console session: root \([^)]*\) has the right to type; start -force")
    assert b"taken" in taker.run("echo ta''ken")
    console.send(b"echo intruder\r")
    assert b"again" in taker.run("echo a''gain")
    assert b"intruder" not in console.console() + taker.console()
    # The seat is free again when its holder leaves; nobody gets it unasked.
    taker.leave()
    late = attach()
    assert b"late" in late.run("echo la''te")


def test_stop_ends_everybodys_console(sp, console, attach):
    watcher = attach()
    watcher.wait_for(rb"\[read-only")
    done = sp.lom("stop -script /SP/console")
    assert done.returncode == 0 and "Stopping /SP/console" in done.stdout, done
    for client in (console, watcher):
        client.wait_stopped()
        assert b"[stopped by root]\r\n" in client.seen()
        client.person.send("version\r")
        client.person.expect("SP firmware")


def test_stop_asks_first(sp, console):
    person = sp.terminal()
    person.send("stop /SP/console\r")
    person.expect_exact("Are you sure you want to stop /SP/console (y/n)? ")
    person.send("n\r")
    person.expect(PROMPT)
    person.close(force=True)
    assert b"still" in console.run("echo st''ill")


def test_the_escape_is_found_when_it_comes_in_two_packets(console):
    console.send(b"#")
    time.sleep(0.3)  # the pause is the test: shorter than the second that gives the '#' to the host
    console.leave(b".")
    console.person.send("version\r")
    console.person.expect("SP firmware")


def test_a_slow_hash_and_dot_are_for_the_guest(console):
    console.send(b"echo x#")
    console.wait_for(rb"echo x#$")  # passed on when nothing followed for a second
    assert b"x#.y\r" in console.run(".y")


def test_escapechars_can_be_chosen(sp, attach):
    assert sp.lom("set /SP/console escapechars=~q").returncode == 0
    try:
        client = attach(started=b"Serial console started.  To stop, type ~q\r\n")
        client.send(b"\r")
        wait_until(client.at_guest_prompt, 20, "the guest's shell waits")
        assert b"x#.y" in client.run("echo x#.y")
        client.leave(b"~q")
    finally:
        sp.lom("set /SP/console escapechars=#.")
    for wrong in ("x", "123456789"):
        assert sp.lom(f"set /SP/console escapechars={wrong}").returncode != 0


def test_a_break_reaches_the_guest(sp, console):
    console.run("echo 1 >/proc/sys/kernel/sysrq; dmesg -n 7")
    since = console.position()
    assert sp.lom("set /HOST send_break_action=break").returncode == 0
    console.send(b"h")  # Linux takes the byte after a break as a SysRq key: help
    console.wait_for(rb"sysrq: HELP :", since=since)
    console.run("dmesg -n 4")


def history(sp):
    return sp.lom("show -script /SP/console/history").stdout


def test_history_gives_what_line_count_and_start_from_ask_for(sp, console):
    console.run("for i in $(seq 1 3000); do echo line-$i-; done", limit=60)
    log = demo_host.console_log(sp)
    try:
        assert sp.lom("set /SP/console line_count=5").returncode == 0
        lines = re.findall(r"line-(\d+)-", history(sp))
        assert lines == [str(n) for n in range(3001 - len(lines), 3001)] and len(lines) in (4, 5)
        assert sp.lom("set /SP/console start_from=beginning").returncode == 0
        first = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()][0]
        shown = history(sp)
        assert "line-" not in shown and re.sub(r"[^ -~]", "", first)[-30:] in shown
        assert sp.lom("set /SP/console line_count=0").returncode == 0
        assert re.findall(r"line-(\d+)-", history(sp))[-3000:] == [str(n) for n in range(1, 3001)] or \
            len(log) > 1 << 20
        assert sp.lom("set /SP/console line_count=2049").returncode != 0
    finally:
        sp.lom("set /SP/console line_count=0")
        sp.lom("set /SP/console start_from=end")


def looks(sp, stop):
    """How long `show /SP` took, again and again, at one prompt, until `stop()`; at least 100 times."""
    person = sp.terminal(size=(200, 120))
    person.send("show\r")
    person.expect(PROMPT)
    took = []
    while len(took) < 100 or not stop():
        began = time.monotonic()
        person.send("show /SP\r")
        person.expect_exact("Commands:")
        person.expect(PROMPT)
        took.append(time.monotonic() - began)
    person.close(force=True)
    return sorted(took)


def test_a_flood_slows_nobody_and_a_slow_reader_gets_all_of_it(sp, console, attach):
    slow = attach()
    slow.wait_for(rb"\[read-only")
    slow.stall()
    since = console.type_line("lomtest-stream 3000000 9")
    began = time.monotonic()
    took = looks(sp, lambda: b"END lomtest-stream" in console.seen()[since:] or time.monotonic() - began > 120)
    console.wait_for(rb"END lomtest-stream sha256=[0-9a-f]{64}\n", 60, since)
    p99 = took[int(len(took) * 0.99)]
    print(f"show /SP during a flood: {len(took)} times, p50 {took[len(took) // 2] * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms; "
          f"the flood took {time.monotonic() - began:.1f} s")
    assert p99 < LOOK_LIMIT
    body, digest = stream_of(console.seen()[since:])
    assert hashlib.sha256(body).hexdigest() == digest
    assert b"END lomtest-stream" not in slow.seen()
    slow.resume()
    slow.wait_for(rb"END lomtest-stream sha256=[0-9a-f]{64}\n", 60)
    body, digest = stream_of(slow.seen())
    assert hashlib.sha256(body).hexdigest() == digest
    assert b"are lost here" not in slow.seen()
