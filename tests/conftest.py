"""Fixtures and hooks for every test: what a failed test leaves behind for its reader.

A test that writes logs takes the fixture `log_dir`; the folder is kept, with its path printed in
the report, when the test failed, and removed when it passed.
"""

import os
import pathlib
import re
import shutil

import pytest

BUILD = pathlib.Path(os.environ.get("LOM_BUILD", pathlib.Path(__file__).resolve().parents[1] / "build"))
LOGS = BUILD / "check" / "logs"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[failed_key] = True
        folder = folder_of(item)
        if folder.is_dir():
            report.sections.append(("logs", f"kept in {folder}"))


failed_key = pytest.StashKey[bool]()


def folder_of(item):
    return LOGS / re.sub(r"[^\w.-]+", "_", item.nodeid.split("tests/")[-1])


@pytest.fixture
def log_dir(request):
    """A folder for the logs of this test, kept if it fails."""
    folder = folder_of(request.node)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    if not request.node.stash.get(failed_key, False):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def build_dir():
    """Where the programs under test are."""
    return BUILD
