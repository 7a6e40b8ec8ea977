"""Runs ctest and pytest on one build folder or several, shows both live, and adds them up.

Called by ./check. Results and logs stay in BUILD/check/: ctest.xml, pytest.xml, and what failed
tests left in BUILD/check/logs (see conftest.py). The last line printed is the sum.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PYTEST_NOTHING_COLLECTED = 5


class Tally:
    """What the runners reported, summed."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []

    def read_junit(self, runner, file):
        """A runner that died without its report counts as one failure."""
        try:
            cases = list(xml.etree.ElementTree.parse(file).getroot().iter("testcase"))
        except (OSError, xml.etree.ElementTree.ParseError) as fault:
            self.failures.append(f"{runner}: no report of its results ({fault})")
            return
        for case in cases:
            name = f"{runner}: {case_name(case)}"
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failures.append(name)
            elif skipped is not None or case.get("status") in ("disabled", "notrun"):
                self.skips.append(f"{name}: {reason_of(case, skipped)}")
            else:
                self.passed += 1

    def expect_success(self, runner, status):
        """A runner may fail without a failing case: a fixture, a crash, a bad option."""
        if status != 0 and not any(f.startswith(runner + ":") for f in self.failures):
            self.failures.append(f"{runner}: ended with status {status}, its output above says why")


def case_name(case):
    """ctest gives the whole name twice, pytest the module and the function."""
    module, name = case.get("classname"), case.get("name")
    return name if module in (name, None) else f"{module}.{name}"


def reason_of(case, skipped):
    message = skipped.get("message") if skipped is not None else None
    if message and not message.startswith("SKIP_"):
        return message
    # GoogleTest prints the reason between "Skipped" and the "[  SKIPPED ]" line.
    output = (case.findtext("system-out") or "").splitlines()
    for line, following in zip(output, output[1:]):
        if line.endswith(": Skipped"):
            return following.strip()
    return message or "no reason given"


def run(command, **options):
    print("$", " ".join(map(str, command)), flush=True)
    return subprocess.run(command, stdin=subprocess.DEVNULL, **options).returncode


def run_build(build, excluded, tally):
    results = build / "check"
    results.mkdir(exist_ok=True)
    ctest_report, pytest_report = results / "ctest.xml", results / "pytest.xml"
    for stale in (ctest_report, pytest_report):
        stale.unlink(missing_ok=True)

    # ctest takes a relative report path to be inside the build folder; it has no per-run limit.
    without = ["--label-exclude", "^qemu$"] if "qemu" in excluded else []
    status = run(["ctest", "--test-dir", build, *without, "--output-on-failure", "--timeout", "120",
                  "--parallel", str(os.cpu_count() or 2), "--output-junit", ctest_report])
    runner = f"{build.name} ctest"
    tally.read_junit(runner, ctest_report)
    tally.expect_success(runner, status)

    selection = ["-m", " and ".join(f"not {marker}" for marker in excluded)] if excluded else []
    status = run([sys.executable, "-B", "-m", "pytest", "-c", "tests/pytest.ini", "-v",
                  "--junitxml", pytest_report, *selection, "tests/integration", "tests/support"],
                 cwd=REPOSITORY, env={**os.environ, "LOM_BUILD": str(build)})
    if status == PYTEST_NOTHING_COLLECTED:
        return
    runner = f"{build.name} pytest"
    tally.read_junit(runner, pytest_report)
    tally.expect_success(runner, status)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out what starts QEMU")
    parser.add_argument("builds", nargs="+", type=lambda text: pathlib.Path(text).resolve())
    arguments = parser.parse_args()

    started = time.monotonic()
    tally = Tally()
    excluded = ["qemu"] if arguments.quick else []
    for build in arguments.builds:
        run_build(build, excluded, tally)
        excluded = [*excluded, "material"]

    print()
    for line in tally.skips:
        print("skipped", line)
    for line in tally.failures:
        print("FAILED ", line)
    if tally.failures:
        print("Logs of what failed:", *(build / "check" / "logs" for build in arguments.builds))
    if tally.passed == 0:
        print("Nothing passed: no test ran.")
    print(f"The tests took {time.monotonic() - started:.0f} s.")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped", flush=True)
    return 1 if tally.failures or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
