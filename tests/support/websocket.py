"""A websocket client for tests: text and binary messages over TLS, nothing more."""

import base64
import os
import socket
import struct

from tests.support.redfish import no_check


class WebSocket:
    def __init__(self, port, path, headers=None, timeout=20):
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket = no_check().wrap_socket(raw)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
                 "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            part = self.socket.recv(4096)
            if not part:
                break
            self.buffer += part
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else 0
        self.closed = None

    def send(self, data):
        """Text for str, binary for bytes."""
        opcode = 1 if isinstance(data, str) else 2
        self._frame(opcode, data.encode() if isinstance(data, str) else data)

    def _frame(self, opcode, data):
        mask = os.urandom(4)
        if len(data) < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | len(data))
        elif len(data) < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, len(data))
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, len(data))
        masked = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        self.socket.sendall(head + mask + masked)

    def _take(self, count):
        while len(self.buffer) < count:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError
            self.buffer += part
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def receive(self):
        """The next message: str or bytes; None when the other side has closed."""
        message, kind = b"", None
        try:
            while True:
                first, second = self._take(2)
                size = second & 127
                if size == 126:
                    size, = struct.unpack("!H", self._take(2))
                elif size == 127:
                    size, = struct.unpack("!Q", self._take(8))
                data = self._take(size)
                opcode = first & 15
                if opcode == 8:
                    self.closed = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                    return None
                if opcode == 9:
                    self._frame(10, data)
                    continue
                if opcode == 10:
                    continue
                kind = opcode or kind
                message += data
                if first & 0x80:
                    return message.decode() if kind == 1 else message
        except EOFError:
            return None

    def until(self, wanted):
        """Binary messages joined, until `wanted` is in them."""
        seen = b""
        while wanted not in seen:
            message = self.receive()
            assert message is not None, (seen[-300:], self.closed)
            if isinstance(message, bytes):
                seen += message
        return seen

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Wire:
    """The bytes of a websocket's messages as a socket gives them, for tests.support.rfb.Viewer."""

    def __init__(self, websocket):
        self.websocket = websocket
        self.settimeout = websocket.socket.settimeout
        self.close = websocket.close

    def sendall(self, data):
        self.websocket.send(bytes(data))

    def recv(self, _count):
        return self.websocket.receive() or b""
