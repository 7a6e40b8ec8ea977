"""A person on a host's serial console through OpenSSH's client, with every byte kept.

    client = ConsoleClient(sp)               # or ConsoleClient(sp, "-force")
    client.wait_for(GUEST_PROMPT)
    client.run("uname")                      # types a line, waits for the shell's next prompt
    client.console()                         # what the console printed, without the client's notices
    client.leave()                           # #. ; `client.person` is at the prompt again
"""

import os
import re
import threading

import select

from tests.support.lomd import PROMPT, wait_until

# busybox's shell may ask the terminal where its cursor is; nobody answers.
GUEST_PROMPT = rb"demo:[^ \r\n]*# (?:\x1b\[6n)?$"
STARTED = b"Serial console started.  To stop, type #.\r\n"
STOPPED = b"\r\nSerial console stopped.\r\n"
# The client's own lines; nothing that a guest of these tests prints looks like one.
RESTARTING = b"\r\n[The service processor is restarting...]\r\n"
NOTICES = re.compile(
    rb"(?:\r\n)?\[(?:The service processor is restarting\.\.\."
    rb"|read-only console session: [^\]\r\n]*"
    rb"|this console session has the right to type now"
    rb"|\d+ bytes of the console are lost here: the history no longer held them"
    rb"|stopped by [^\]\r\n]*)\]\r\n")


class ConsoleClient:
    def __init__(self, sp, *options, person=None, started=STARTED):
        self.person = person or sp.terminal()
        self._raw = bytearray()
        self._lock = threading.Lock()
        self._reading = threading.Event()
        self._reading.set()
        self._end = threading.Event()
        self.closed = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self.send(" ".join(["start", "-script", *options, "/SP/console"]).encode() + b"\r")
        wait_until(lambda: started in self.raw(), 20, f"the console starts; it says {self.raw()!r}")
        self._begin = self.raw().index(started) + len(started)

    def _read(self):
        fd = self.person.child_fd
        while not self._end.is_set():
            if not self._reading.is_set():
                self._reading.wait(0.05)
                continue
            ready, _, _ = select.select([fd], [], [], 0.05)
            if not ready or not self._reading.is_set():
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                data = b""
            if not data:
                self.closed = True
                return
            with self._lock:
                self._raw += data

    # -- reading

    def stall(self):
        """Stops reading, as a terminal that was suspended does, until resume()."""
        self._reading.clear()

    def resume(self):
        self._reading.set()

    def raw(self):
        with self._lock:
            return bytes(self._raw)

    def seen(self):
        """All since the console started, notices included."""
        return self.raw()[self._begin:]

    def console(self):
        """What the console printed."""
        return NOTICES.sub(b"", self.seen().partition(STOPPED)[0])

    def position(self):
        return len(self.seen())

    def wait_for(self, pattern, limit=20, since=0):
        """The match of a pattern (bytes), at or behind the position `since`."""
        compiled = re.compile(pattern)
        try:
            return wait_until(lambda: compiled.search(self.seen(), since), limit, pattern)
        except AssertionError as late:
            raise AssertionError(f"{late}; the last the console said: {self.seen()[-600:]!r}") from None

    def at_guest_prompt(self):
        return bool(re.search(GUEST_PROMPT, self.console()))

    # -- typing

    def send(self, data):
        while data:
            data = data[os.write(self.person.child_fd, data):]

    def type_line(self, line):
        """Returns when the guest has echoed it."""
        since = self.position()
        self.send(line.encode() + b"\r")
        self.wait_for(re.escape(line.encode()) + rb"\r+\n", since=since)
        return since

    def run(self, line, limit=60):
        """What the guest's shell printed, up to its next prompt."""
        since = self.type_line(line)
        end = self.wait_for(rb"\n" + GUEST_PROMPT, limit, since)
        return self.seen()[since:end.start() + 1]

    # -- leaving

    def leave(self, sequence=b"#."):
        """Back at the SP's prompt, where `person` may be used."""
        since = self.position()
        self.send(sequence)
        self.wait_stopped(since=since)
        return self.person

    def wait_stopped(self, limit=20, since=0):
        self.wait_for(re.escape(STOPPED) + rb"(?:.*\r\n)*-> $", limit, since)
        self._stop_reading()

    def _stop_reading(self):
        self._end.set()
        self._reading.set()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def close(self):
        self._stop_reading()
        self.person.close(force=True)
