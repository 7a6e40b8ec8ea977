#!/usr/bin/python3
"""Websocket viewers of one serial console: whether each gets every byte in order, and what each costs
lomd and lom-web together.

    tests/bench/console_viewers.py [VIEWERS] [MIB]

The console's log is written to as QEMU writes to it. Memory is the proportional set size (PSS); that of
no viewer is taken after one has come and gone. Exit status 1: bytes are missing, or more than 64 KiB each.
"""

import asyncio
import base64
import hashlib
import json
import os
import pathlib
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.support.lomd import Lomd  # noqa: E402
from tests.support.redfish import Client  # noqa: E402

LIMIT_KIB = 64


def pss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


class Viewer:
    def __init__(self):
        self.digest = hashlib.sha256()
        self.count = 0

    async def open(self, port, token):
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=ssl._create_unverified_context())
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write((f"GET /console/serial HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n"
                           "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                           f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        opcode, first = await self.message()
        assert opcode == 1 and json.loads(first)["type"] == "attached", first

    async def message(self):
        first, second = await self.reader.readexactly(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return first & 15, await self.reader.readexactly(size)

    async def read(self, wanted):
        while self.count < wanted:
            opcode, data = await self.message()
            assert opcode != 8, "closed"
            if opcode in (0, 2):  # a message may come in several frames
                self.digest.update(data)
                self.count += len(data)


async def written(log, size):
    """Lines like a guest's, and their digest."""
    digest = hashlib.sha256()
    sent = number = 0
    with open(log, "ab", buffering=0) as console:
        while sent < size:
            lines = "".join(f"{number + i:08d} the quick brown fox jumps over the lazy dog\r\n"
                            for i in range(80)).encode()
            number += 80
            console.write(lines)
            digest.update(lines)
            sent += len(lines)
            await asyncio.sleep(0)
    return sent, digest.hexdigest()


async def measure(sp, token, count, size):
    web = json.loads((sp.run_dir / "web.json").read_text())["pid"]
    port = sp.ports["https"]
    log = sp.state_dir / "hosts/host0/console.log"
    both = (sp.process.pid, web)
    first = Viewer()
    await first.open(port, token)
    first.writer.close()
    await asyncio.sleep(1)
    before = [pss_kib(pid) for pid in both]
    viewers = [Viewer() for _ in range(count)]
    for begin in range(0, count, 50):
        await asyncio.gather(*(v.open(port, token) for v in viewers[begin:begin + 50]))
    idle = [pss_kib(pid) for pid in both]
    began = time.perf_counter()
    sent, digest = await written(log, size)
    await asyncio.gather(*(v.read(sent) for v in viewers))
    took = time.perf_counter() - began
    after = [pss_kib(pid) for pid in both]
    whole = sum(v.digest.hexdigest() == digest for v in viewers)

    def each(now):
        return round((sum(now) - sum(before)) / count, 1)
    result = {"viewers": count, "whole": whole, "bytes_each": sent, "seconds": round(took, 2),
              "kib_each_waiting": each(idle), "kib_each": each(after),
              "lomd_kib": [before[0], idle[0], after[0]], "lom_web_kib": [before[1], idle[1], after[1]]}
    print(json.dumps(result))
    return whole == count and each(after) <= LIMIT_KIB


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    size = int(float(sys.argv[2]) * (1 << 20)) if len(sys.argv) > 2 else 1 << 20
    with Lomd() as sp:
        token = Client(sp).headers["X-Auth-Token"]
        sys.exit(not asyncio.run(measure(sp, token, count, size)))


main()
