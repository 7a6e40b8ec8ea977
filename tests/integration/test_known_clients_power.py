"""Debian's powerman, with the ilom.dev that comes with it, and OpenSSH's client drive the power."""

import subprocess

import pytest

from tests.support import cluster_tools
from tests.support.cluster_tools import Powerman
from tests.support.lomd import Lomd, wait_until

MISSING = Lomd.missing() or cluster_tools.missing()
pytestmark = [pytest.mark.qemu, pytest.mark.skipif(bool(MISSING), reason=MISSING or "built")]


@pytest.fixture(scope="module")
def sp():
    with Lomd(password=cluster_tools.PASSWORD) as lomd:
        yield lomd


@pytest.fixture(scope="module")
def powerman(sp):
    with Powerman(sp) as tool:
        wait_until(lambda: tool.plug() == "off", 30, f"powerman has logged in: {tool.output()}")
        yield tool


def host_is(sp, state):
    return f"power_state = {state}\n" in sp.lom("show /SYS power_state").stdout


def audited(sp):
    """Commands of the audit log, oldest first."""
    lines = sp.lom("show -script /SP/logs/audit/list").stdout.splitlines()
    return [line.rpartition(": ")[2] for line in reversed(lines) if "/SYS" in line]


def must(powerman, option):
    done = powerman.power(option, "vm")
    assert done.returncode == 0 and "Command completed successfully" in done.stdout, (done, powerman.output())


def test_powerman_drives_the_power(sp, powerman):
    assert host_is(sp, "Off")
    for option, command, state in [("--on", ["start /SYS"], "On"),
                                   ("--reset", ["reset /SYS"], "On"),
                                   ("--cycle", ["stop -force /SYS", "start /SYS"], "On"),
                                   ("--off", ["stop -force /SYS"], "Off")]:
        before = len(audited(sp))
        must(powerman, option)
        assert audited(sp)[before:] == command
        assert host_is(sp, state)
        assert powerman.plug() == state.lower()


def test_powerman_repeats_itself_without_harm(sp, powerman):
    for option, state in [("--on", "on"), ("--on", "on"), ("--off", "off"), ("--off", "off")]:
        must(powerman, option)
        assert powerman.plug() == state
    must(powerman, "--reset")  # of a host that is off: ILOM says so, powerman does not look
    assert powerman.plug() == "off"


def test_powerman_sees_what_others_do(sp, powerman):
    assert sp.lom("start -script /System").returncode == 0
    assert powerman.plug() == "on"
    assert sp.lom("stop -script -force /System").returncode == 0
    assert powerman.plug() == "off"


def test_powerman_comes_back_after_the_service_processor(sp, powerman):
    sp.kill9()
    sp.start()
    wait_until(lambda: powerman.plug() == "off", 30, "powerman knows the state again")
    must(powerman, "--on")
    assert host_is(sp, "On")
    must(powerman, "--off")


def test_a_terminal_with_one_command(sp):
    assert sp.lom("stop -script -force /SYS").returncode in (0, 2)
    done = subprocess.run(sp.ssh_arguments("start -script /SYS", options=["-tt"]), timeout=60,
                          env=sp.ssh_environment(), stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"Starting /SYS\r\n"), done
    assert host_is(sp, "On")


@pytest.mark.parametrize("terminal", [[], ["-tt"]], ids=["pipe", "terminal"])
def test_a_here_document_answers_questions(sp, terminal):
    assert sp.lom("start -script /SYS").returncode in (0, 2)
    done = sp.ssh(options=terminal, input="stop -f /SYS\ny\nshow /SYS power_state\nexit\n")
    assert "(y/n)? y" in done.stdout, done
    assert "Stopping /SYS immediately" in done.stdout
    assert "power_state = Off" in done.stdout
    assert done.returncode == 0
