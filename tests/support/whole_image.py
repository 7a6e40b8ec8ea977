"""Reads an image from its first to its last byte, again and again, past the kernel's page cache, and
compares each time."""

import errno
import hashlib
import os
import random
import threading
import time


def random_image(size, seed):
    data = bytearray(random.Random(seed).randbytes(size))
    data[32768:32774] = b"\x01CD001"
    return bytes(data)


class WholeImageReader(threading.Thread):
    """Ends with the pass that is under way at stop(). `again_after_errors`: reads again what failed,
    as QEMU does for a guest that it holds."""

    def __init__(self, path, sha256, again_after_errors=False, step=128 << 10):
        super().__init__(daemon=True)
        self.path, self.sha256, self.again, self.step = path, sha256, again_after_errors, step
        self.passes, self.errors, self.slowest = 0, 0, 0.0
        self.failure = None
        self.stopped = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.stopped.is_set():
                found = self._read()
                assert found == self.sha256, f"wrong bytes in pass {self.passes + 1}"
                self.passes += 1
        except BaseException as failure:  # pylint: disable=broad-except
            self.failure = failure

    def _read(self):
        found, at = hashlib.sha256(), 0
        fd = os.open(self.path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := self._piece(fd, at):
                found.update(piece)
                at += len(piece)
            return found.hexdigest()
        finally:
            os.close(fd)

    def _piece(self, fd, at):
        while True:
            began = time.monotonic()
            try:
                return os.pread(fd, self.step, at)
            except OSError as error:
                if not self.again or error.errno not in (errno.EIO, errno.ENOSPC):
                    raise
                self.errors += 1
                time.sleep(0.2)  # as a host that waits is tried again now and then
            finally:
                self.slowest = max(self.slowest, time.monotonic() - began)

    def stop(self, seconds=120):
        self.stopped.set()
        self.join(seconds)
        if self.failure:
            raise self.failure
        assert not self.is_alive(), "the last pass does not end"
