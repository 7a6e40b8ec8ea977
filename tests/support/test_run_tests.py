"""The sum that ./check prints counts each kind of outcome, and a silent death as a failure."""

import pytest

from support.run_tests import Tally

pytestmark = pytest.mark.material

PYTEST = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="no"/></testcase>
<testcase classname="a" name="broken"><error message="fixture"/></testcase>
<testcase classname="a" name="absent"><skipped message="no /dev/kvm"/></testcase>
</testsuite></testsuites>"""

CTEST = """<testsuite>
<testcase name="Fd.Closes" classname="Fd.Closes" status="run"/>
<testcase name="Fd.Skips" classname="Fd.Skips" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>
<system-out>[ RUN      ] Fd.Skips
/src/fd_test.cpp:7: Skipped
needs root

[  SKIPPED ] Fd.Skips (0 ms)</system-out></testcase>
<testcase name="Fd.Crashes" classname="Fd.Crashes" status="fail"><failure message=""/></testcase>
</testsuite>"""


def tally_of(tmp_path, runner, text):
    report = tmp_path / "report.xml"
    report.write_text(text)
    tally = Tally()
    tally.read_junit(runner, report)
    return tally


def test_pytest_outcomes(tmp_path):
    tally = tally_of(tmp_path, "pytest", PYTEST)
    assert (tally.passed, len(tally.failures), len(tally.skips)) == (1, 2, 1)
    assert tally.skips[0] == "pytest: a.absent: no /dev/kvm"


def test_ctest_outcomes_with_the_reason_of_a_skip(tmp_path):
    tally = tally_of(tmp_path, "ctest", CTEST)
    assert (tally.passed, tally.failures) == (1, ["ctest: Fd.Crashes"])
    assert tally.skips == ["ctest: Fd.Skips: needs root"]


def test_runner_that_died_is_a_failure(tmp_path):
    tally = Tally()
    tally.read_junit("ctest", tmp_path / "absent.xml")
    assert len(tally.failures) == 1


def test_runner_that_failed_without_a_failing_case_is_a_failure(tmp_path):
    tally = tally_of(tmp_path, "pytest", PYTEST.replace("failure", "x").replace("error", "x"))
    tally.expect_success("pytest", 0)
    assert not tally.failures
    tally.expect_success("pytest", 3)
    assert len(tally.failures) == 1
