"""An HTTP server with bad manners: one thread each connection, on a free port of loopback.

    with OddHttp("headers") as server: server.uri

headers    never stops sending header lines            body      never stops sending a range's bytes
huge       says that the file has 2^63 bytes           truncated ends in the middle of each range
other      answers another range than the one asked    silent    takes the request and says nothing
loop       redirects to itself for ever                garbage   sends random bytes
growing    tells another size in every answer          empty     closes at once
"""

import random
import re
import socket
import threading

SIZE = 8 << 20


class OddHttp:
    def __init__(self, mode):
        self.mode = mode
        self.stopping = threading.Event()
        self.asked = 0
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}/x.iso"
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.sockets:
            connection.close()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while True:
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    request += piece
                first, last = map(int, re.search(rb"bytes=(\d+)-(\d+)", request).groups())
                self.asked += 1
                if not self._answer(connection, first, last):
                    return
        except OSError:
            pass  # it has had enough
        finally:
            connection.close()

    def _answer(self, to, first, last):
        mode, length = self.mode, last - first + 1
        size = {"huge": 1 << 63, "growing": SIZE + self.asked}.get(mode, SIZE)
        if mode == "silent":
            self.stopping.wait(120)
            return False
        if mode == "empty":
            return False
        if mode == "garbage":
            to.sendall(random.Random(3).randbytes(100000))
            return False
        if mode == "loop":
            to.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x.iso\r\nContent-Length: 0\r\n\r\n")
            return True
        to.sendall(b"HTTP/1.1 206 Partial Content\r\n")
        while mode == "headers" and not self.stopping.is_set():
            to.sendall(b"X-More: " + b"m" * 1000 + b"\r\n")
        shift = 512 if mode == "other" and first > 0 else 0
        endless = mode == "body" and first > 0
        to.sendall(b"Content-Range: bytes %d-%d/%d\r\n" % (first + shift, last + shift, size))
        to.sendall(b"\r\n" if endless else b"Content-Length: %d\r\n\r\n" % length)
        while endless and not self.stopping.is_set():
            to.sendall(b"b" * 65536)
        to.sendall(b"b" * (length // 2 if mode == "truncated" and first > 0 else length))
        return not (mode == "truncated" and first > 0)
