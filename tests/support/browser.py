"""A person at the page: Debian's Chromium, driven by playwright-core in node.

    with Browser() as browser:
        ann = browser.person("ann", "https://127.0.0.1:1234/")
        ann.click("Log in")
        ann.see("Overview", "h1")
"""

import json
import pathlib
import shutil
import subprocess

from tests.support.lomd import BUILD

MODULES = BUILD / "web/ui/work/node_modules"
DRIVER = pathlib.Path(__file__).parent / "page/person.mjs"


class Browser:
    @staticmethod
    def missing():
        """What a test must skip for; empty: nothing."""
        for program in ("node", "chromium"):
            if not shutil.which(program):
                return f"{program} is not installed"
        for path in (MODULES / "playwright-core", BUILD / "ui/index.html"):
            if not path.exists():
                return f"{path} is not built"
        return ""

    def __enter__(self):
        self._node = subprocess.Popen(["node", DRIVER, MODULES, shutil.which("chromium")],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self._node.stdin.close()  # its loop ends, and closes the browser
        try:
            self._node.wait(15)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()

    def order(self, what, **details):
        self._node.stdin.write(json.dumps({"do": what, **details}) + "\n")
        self._node.stdin.flush()
        line = self._node.stdout.readline()
        assert line, "the browser's driver has ended"
        reply = json.loads(line)
        assert "fault" not in reply, f"{what} {details}: {reply['fault']}"
        return reply["answer"]

    def person(self, name, url, **look):
        self.order("open", who=name, url=url, **look)
        return Person(self, name)


class Person:
    def __init__(self, browser, name):
        self._browser = browser
        self._name = name

    def order(self, what, **details):
        return self._browser.order(what, who=self._name, **details)

    def go(self, page):
        self.order("go", page=page)

    def click(self, button, within="body"):
        self.order("click", on=button, within=within)

    def fill(self, label, text):
        self.order("fill", label=label, text=text)

    def see(self, text, within="body", limit=20):
        self.order("see", text=text, within=within, limit=limit)

    def log_in(self, user, password):
        self.fill("User name", user)
        self.fill("Password", password)
        self.click("Log in")
        self.see("Overview", "h1")
