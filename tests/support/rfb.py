"""A VNC viewer of our own, for tests at the level of bytes: raw pixels, desktop size, QEMU's extended
keys, and the sockets that lomd hands out for /HOST/screen."""

import array
import json
import os
import select
import socket
import struct
import time

RAW, ZRLE, DESKTOP_SIZE, EXTENDED_KEY, LED_STATE = 0, 16, -223, -258, -261


class Control:
    """A connection to lomd's control socket as the local administrator."""

    def __init__(self, sp):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect(str(sp.run_dir / "control.sock"))
        self.number = 0
        self.ask(op="hello", version=1, type="local")

    def ask(self, **request):
        """(reply, descriptor or None)"""
        self.number += 1
        body = json.dumps({"id": self.number, **request}).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)
        data, fds = b"", array.array("i")
        while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
            part, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(4))
            assert part, "lomd closed the connection"
            data += part
            for _, _, payload in ancillary:
                fds.frombytes(payload[:4])
        return json.loads(data[4:]), fds[0] if fds else None

    def start_screen(self, force=False, **properties):
        """A socket that speaks RFB."""
        reply, fd = self.ask(op="run", target="/HOST/screen", verb="start", force=force,
                             properties=[[name, value] for name, value in properties.items()])
        assert "ok" in reply, reply
        assert reply["ok"]["stream"] == "screen"
        return socket.socket(fileno=fd)

    def close(self):
        self.socket.close()


def vnc_response(password, challenge):
    """DES with the bits of each key byte turned round, as VNC wants it (openssl does the work)."""
    import subprocess
    key = password.encode()[:8].ljust(8, b"\0")
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    return subprocess.run(["openssl", "enc", "-des-ecb", "-nopad", "-K", key.hex(), "-provider",
                           "legacy", "-provider", "default"],
                          input=challenge, capture_output=True, check=True).stdout


class Viewer:
    """Keeps a picture up to date while one of its waits runs."""

    def __init__(self, connection, encodings=(RAW, DESKTOP_SIZE, EXTENDED_KEY, LED_STATE),
                 password=None):
        self.socket = connection
        self.socket.settimeout(20)
        self.buffer = b""
        self.leds = None
        self.extended_keys = False
        self.updates = 0
        self.sizes = []
        assert self.read(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        types = self.read(self.read(1)[0])
        self.security = list(types)
        self.socket.sendall(types[:1])
        if types[0] == 2:
            self.socket.sendall(vnc_response(password, self.read(16)))
        result = struct.unpack(">I", self.read(4))[0]
        if result != 0:
            raise PermissionError(self.read(struct.unpack(">I", self.read(4))[0]).decode())
        self.socket.sendall(b"\1")
        width, height = struct.unpack(">HH", self.read(4))
        self.read(16)
        self.name = self.read(struct.unpack(">I", self.read(4))[0]).decode()
        self.resize(width, height)
        self.socket.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.socket.sendall(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))
        self.request(False)

    def read(self, count):
        while len(self.buffer) < count:
            part = self.socket.recv(1 << 20)
            if not part:
                raise ConnectionError("the screen closed the connection")
            self.buffer += part
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def resize(self, width, height):
        self.width, self.height = width, height
        self.pixels = bytearray(4 * width * height)
        self.sizes.append((width, height))

    def request(self, incremental=True):
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def take_message(self):
        kind = self.read(1)[0]
        if kind == 3:
            self.read(3)
            self.read(struct.unpack(">I", self.read(4))[0])
            return
        assert kind in (0, 2), kind
        if kind == 2:
            return
        real = False
        for _ in range(struct.unpack(">xH", self.read(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.read(12))
            real = real or encoding not in (EXTENDED_KEY, LED_STATE)
            if encoding == DESKTOP_SIZE:
                self.resize(width, height)
                self.request(False)
            elif encoding == EXTENDED_KEY:
                self.extended_keys = True
            elif encoding == LED_STATE:
                self.leds = self.read(1)[0]
            elif encoding == ZRLE:  # counted, not looked at
                self.read(struct.unpack(">I", self.read(4))[0])
            else:
                assert encoding == RAW, encoding
                data = self.read(4 * width * height)
                for row in range(height):
                    at = 4 * ((y + row) * self.width + x)
                    self.pixels[at:at + 4 * width] = data[4 * width * row:4 * width * (row + 1)]
        if real:
            self.updates += 1
            self.request()

    def wait(self, condition, limit, what):
        """Takes messages until `condition` gives something true."""
        end = time.monotonic() + limit
        while True:
            result = condition()
            if result:
                return result
            left = end - time.monotonic()
            assert left > 0, f"not within {limit} s: {what}"
            if self.buffer or select.select([self.socket], [], [], min(left, 0.2))[0]:
                self.take_message()

    def key(self, keysym, code=0, down=True):
        if code:
            self.socket.sendall(struct.pack(">BBHII", 255, 0, down, keysym, code))
        else:
            self.socket.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def press(self, keysym, code=0):
        self.key(keysym, code, True)
        self.key(keysym, code, False)

    def type(self, text):
        """As fast as a keyboard of QEMU's takes it: it holds 16 bytes, which the guest fetches."""
        for letter in text:
            self.press(ord(letter))
            time.sleep(0.03)

    def pointer(self, x, y, buttons=0):
        self.socket.sendall(struct.pack(">BBHH", 5, buttons, x, y))

    def cut_text(self, text):
        data = text.encode("latin-1")
        self.socket.sendall(struct.pack(">BxxxI", 6, len(data)) + data)

    def colours(self):
        """How many different pixels there are."""
        return len({bytes(self.pixels[at:at + 3]) for at in range(0, len(self.pixels), 4)})

    def save(self, path):
        """As a PPM, to look at."""
        with open(path, "wb") as out:
            out.write(b"P6 %d %d 255\n" % (self.width, self.height))
            data = self.pixels
            rgb = bytearray(3 * self.width * self.height)
            rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
            out.write(rgb)

    def closed(self, limit=5):
        """Whether the screen closes the connection within the time."""
        self.socket.settimeout(limit)
        try:
            while True:
                if not self.socket.recv(1 << 20):
                    return True
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            return True

    def close(self):
        self.socket.close()
