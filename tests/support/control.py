"""The control protocol spoken directly, as a door would that has gone bad.

    with Control(sp, account="anna") as anna:      # takes up a session of that account
        anna.call("set", target="/SP", property="hostname", value="x")
"""

import json
import socket
import sqlite3
import struct


class Denied(Exception):
    """A fault, as lomd answered it."""

    def __init__(self, fault):
        super().__init__(fault["message"])
        self.kind = fault["kind"]
        self.message = fault["message"]


class Control:
    def __init__(self, sp, account):
        self._connect(sp)
        self.hello = self.call("resume", version=1, ticket=self._ticket(sp, account))
        assert self.hello["account"] == account

    @classmethod
    def local(cls, sp):
        """Whoever may be administrator on the machine itself, as `lom` is."""
        door = cls.__new__(cls)
        door._connect(sp)
        door.hello = door.call("hello", version=1, type="local")
        return door

    def _connect(self, sp):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(str(sp.run_dir / "control.sock"))
        self.next = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def _ticket(sp, account):
        with sqlite3.connect(f"file:{sp.state_dir}/openlom.db?mode=ro", uri=True) as database:
            [(ticket,)] = database.execute(
                "SELECT ticket FROM sessions WHERE account=? AND type='ssh' LIMIT 1", [account])
        return ticket

    def _receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "lomd closed the connection"
            data += more
        return data

    def ask(self, op, **fields):
        """The answer as it came, unread."""
        self.next += 1
        body = json.dumps({"id": self.next, "op": op, **fields}).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)
        [size] = struct.unpack(">I", self._receive(4))
        return self._receive(size)

    def call(self, op, **fields):
        answer = json.loads(self.ask(op, **fields))
        if "fault" in answer:
            raise Denied(answer["fault"])
        return answer["ok"]
