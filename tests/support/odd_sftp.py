"""An SFTP server with bad manners, run by sshd as its sftp subsystem: odd_sftp.py MODE.

short     answers READ with at most 20000 bytes and gathers answers to send them last first
versions  floods with VERSION replies and reads nothing
garbage   sends random bytes
wrong-id  opens properly, then answers READs nobody made
oversize  opens properly, then answers a READ with more than was asked
huge      says that the file has 2^63 bytes
lying     says that it has three times the bytes that it has
twice     opens properly, then answers each READ twice
endless   opens properly, then never stops answering the first READ behind the first MiB
silent    takes the connection and says nothing
failing   opens properly, then every READ behind the first MiB fails
"""

import os
import random
import select
import struct
import sys
import time

MODE = sys.argv[1]
OUT = sys.stdout.buffer


def send(kind, body):
    OUT.write(struct.pack(">IB", len(body) + 1, kind) + body)


def text(data):
    return struct.pack(">I", len(data)) + data


def attributes(path):
    found = os.stat(path)
    size = {"huge": 1 << 63, "lying": 3 * found.st_size}.get(MODE, found.st_size)
    return struct.pack(">IQIII", 0x1 | 0x4 | 0x8, size, found.st_mode,
                       int(found.st_atime), int(found.st_mtime))


def read_exactly(size):
    """Unbuffered, so that select() tells the truth."""
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            break
        data += piece
    return data


def receive():
    head = read_exactly(5)
    if len(head) < 5:
        sys.exit()
    length, kind = struct.unpack(">IB", head)
    return kind, read_exactly(length - 1)


def fields(body):
    """id, first string, what follows"""
    number, size = struct.unpack(">II", body[:8])
    return number, body[8:8 + size], body[8 + size:]


def answer_read(file, number, offset, length):
    data = os.pread(file, min(length, 20000 if MODE == "short" else length), offset)
    if MODE == "wrong-id" and offset >= 1 << 20:
        number += 1000
    if MODE == "oversize" and offset >= 1 << 20:
        data += b"x"
    if MODE == "failing" and offset >= 1 << 20:
        send(101, struct.pack(">II", number, 4) + text(b"failure") + text(b""))
    else:
        send(103, struct.pack(">I", number) + text(data))
    if MODE == "twice" and offset >= 1 << 20:
        send(103, struct.pack(">I", number) + text(data))
    while MODE == "endless" and offset >= 1 << 20:
        send(103, struct.pack(">I", number) + text(data))


def more_comes():
    return bool(select.select([sys.stdin], [], [], 0.002)[0])


def serve():
    file, path, held = None, None, []
    while True:
        kind, body = receive()
        if kind == 1:
            send(2, struct.pack(">I", 3))
        elif kind == 17:
            number, path, _ = fields(body)
            send(105, struct.pack(">I", number) + attributes(path))
        elif kind == 3:
            number, path, _ = fields(body)
            file = os.open(path, os.O_RDONLY)
            send(102, struct.pack(">I", number) + text(b"h"))
        elif kind == 8:
            send(105, body[:4] + attributes(path))
        elif kind == 5:
            number, _, rest = fields(body)
            held.append((number, *struct.unpack(">QI", rest)))
        if MODE == "short" and len(held) < 3 and more_comes():
            continue
        for request in reversed(held):
            answer_read(file, *request)
        held.clear()
        OUT.flush()


try:
    if MODE == "versions":
        while True:
            send(2, struct.pack(">I", 3))
    elif MODE == "silent":
        time.sleep(120)
    elif MODE == "garbage":
        OUT.write(random.Random(1).randbytes(100000))
        OUT.flush()
        time.sleep(60)
    else:
        serve()
except BrokenPipeError:
    pass
