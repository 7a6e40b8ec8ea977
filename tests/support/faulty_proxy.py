"""A network between a client and a server on loopback, that fails as networks do.

    with FaultyProxy(server.port) as line:
        line.port
        line.drop()    # a black hole: nothing passes, nobody is told
        line.half()    # the same, in the direction of the client only
        line.reset()   # every connection is reset, new ones too
        line.slow(64_000)   # bytes per second towards the client
        line.heal()
"""

import select
import socket
import struct
import threading
import time


class FaultyProxy:
    def __init__(self, port, rate=None):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.mode, self.rate = "pass", rate
        self.pairs = []  # (client, server)
        self.ended = False
        self.passed = 0  # bytes towards the client
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def drop(self):
        self.mode = "drop"

    def half(self):
        self.mode = "half"

    def reset(self):
        self.mode = "reset"
        while self.pairs:
            time.sleep(0.005)

    def slow(self, rate):
        self.rate = rate

    def heal(self):
        self.mode, self.rate = "pass", None

    # One thread: at most a few connections

    def _run(self):
        allowance, last = 0.0, time.monotonic()
        while not self.ended:
            now = time.monotonic()
            rate = self.rate
            allowance = min(allowance + (now - last) * rate, rate / 10) if rate else 0.0
            last = now
            if self.mode == "reset":
                self._reset_all()
            readable = self._readable(allowance)
            for end in readable:
                if end is self.listener:
                    self._accept()
                else:
                    allowance -= self._forward(end, int(allowance))

    def _readable(self, allowance):
        wanted = [self.listener] if self.mode in ("pass", "reset") else []
        for client, server in self.pairs:
            if self.mode in ("pass", "half"):
                wanted.append(client)
            if self.mode == "pass" and (self.rate is None or allowance >= 1):
                wanted.append(server)
        waits_for_allowance = self.mode == "pass" and self.rate is not None
        return select.select(wanted, [], [], 0.005 if waits_for_allowance else 0.05)[0]

    def _accept(self):
        client = self.listener.accept()[0]
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            abort(client)
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(5)
        if self.rate:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self.pairs.append((client, server))

    def _forward(self, end, allowance):
        pair = next((pair for pair in self.pairs if end in pair), None)
        if pair is None:
            return 0
        to_client = end is pair[1]
        size = min(65536, allowance) if to_client and self.rate else 65536
        try:
            data = end.recv(max(size, 1))
            if data:
                pair[0 if to_client else 1].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._close(pair)
        self.passed += len(data) if to_client else 0
        return len(data) if to_client else 0

    def _close(self, pair):
        self.pairs.remove(pair)
        for end in pair:
            end.close()

    def _reset_all(self):
        for pair in self.pairs:
            for end in pair:
                abort(end)
        self.pairs.clear()

    def close(self):
        self.ended = True
        self.thread.join()
        self._reset_all()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def abort(end):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
