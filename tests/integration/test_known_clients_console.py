"""ConMan, with the sun-ilom.exp that comes with it, on the console of a host that runs the demo Linux."""

import re

import pytest

from tests.support import cluster_tools, demo_host
from tests.support.cluster_tools import Conman
from tests.support.lomd import PROMPT

MISSING = demo_host.missing() or cluster_tools.missing()
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(bool(MISSING), reason=MISSING or "built")]


@pytest.fixture(scope="module")
def sp(tmp_path_factory):
    with demo_host.booted(tmp_path_factory.mktemp("images"), password=cluster_tools.PASSWORD) as lomd:
        yield lomd


@pytest.fixture
def conman(sp):
    with Conman(sp) as tool:
        tool.wait_for("Connection established via ssh")
        yield tool


@pytest.fixture
def single(sp):
    """The console as x86 ILOM has it: one session, a second one hears that it is in use."""
    assert sp.lom("set /HOST/console sharing=disabled").returncode == 0
    yield sp
    assert sp.lom("set /HOST/console sharing=enabled").returncode == 0


def run(client, line, expect):
    client.send(line + "\r")
    client.expect(expect)
    client.expect("# ")


def test_conman_is_a_console(conman):
    client = conman.client()
    run(client, "echo $((6 * 7))-here", "\n42-here\r")
    # Long output comes whole and in order.
    client.send("seq 1 2000; echo end-$((1 + 1))\r")
    client.expect("end-2\r")
    numbers = [int(line) for line in re.findall(r"(?m)^(\d+)\r?$", client.before)]
    assert numbers == list(range(1, 2001))
    client.send("&.")
    client.expect_exact("Connection to console [vm] closed.")
    assert "42-here" in conman.log()


def test_conman_sends_a_break(conman):
    client = conman.client()
    run(client, "echo 1 >/proc/sys/kernel/sysrq; dmesg -n 7; echo done-$?", "done-0")
    client.send("&&B")  # the client makes &B of it, the script ESC B
    client.send("h")  # Linux takes the byte after a break as a SysRq key: help
    client.expect("sysrq: HELP :")
    run(client, "dmesg -n 4; echo done-$?", "done-0")
    client.close()


def test_conman_takes_the_console_back(sp, conman):
    """As it comes the script ends whoever has the console, and starts it again when it is stopped."""
    thief = sp.terminal()
    thief.send("stop -script /SP/console\r")
    thief.expect(PROMPT)
    client = conman.client()
    run(client, "echo $((40 + 3))-again", "\n43-again\r")
    assert "stopped by root" in conman.log()
    assert "disconnected" not in conman.log()
    client.close()
    thief.close()


def test_conman_finds_the_console_in_use(single):
    holder = single.terminal()
    holder.send("start -script /SP/console\r")
    holder.expect_exact("Serial console started.  To stop, type #.\r\n")
    with Conman(single, override=False) as tool:
        tool.wait_for("Error: Console session already in use.")
    holder.close()


def test_conman_finds_the_console_stolen(single):
    assert single.lom("stop -script /SP/console").returncode == 0
    with Conman(single, override=False) as tool:
        tool.wait_for("Connection established via ssh")
        thief = single.terminal()
        thief.send("start -script /SP/console\r")
        thief.expect_exact("Serial console is in use.\r\n")
        thief.expect(r"root \S+ has it. Take it over with -force.")
        thief.expect(PROMPT)
        thief.send("start -force -script /SP/console\r")
        thief.expect_exact("Serial console started.  To stop, type #.\r\n")
        tool.wait_for("Console session stolen.")
        thief.send("\r")
        thief.expect("# ")
        thief.close()
