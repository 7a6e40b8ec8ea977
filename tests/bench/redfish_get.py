#!/usr/bin/env python3
"""Redfish GET of a System over HTTPS by keep-alive clients: requests a second, 99th percentile, and
the memory of lomd and lom-web together afterwards. Clients are processes with one loop each.

    tests/bench/redfish_get.py [CLIENTS] [SECONDS]
"""

import asyncio
import json
import pathlib
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from tests.support.lomd import Lomd  # noqa: E402
from tests.support.redfish import Client  # noqa: E402

SYSTEM = "/redfish/v1/Systems/host0"


async def one_client(port, token, until, times):
    context = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    request = f"GET {SYSTEM} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n".encode()
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(size)
        times.append(time.perf_counter() - began)
    writer.close()


async def all_clients(port, token, count, seconds):
    times = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(one_client(port, token, until, times) for _ in range(count)))
    return sorted(times)


def rss(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    with Lomd() as sp:
        client = Client(sp)
        times = asyncio.run(all_clients(sp.ports["https"], client.headers["X-Auth-Token"], count,
                                        seconds))
        web = json.loads((sp.run_dir / "web.json").read_text())["pid"]
        print(json.dumps({"clients": count, "requests_per_second": round(len(times) / seconds),
                          "median_ms": round(times[len(times) // 2] * 1000, 2),
                          "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
                          "lomd_rss_mib": round(rss(sp.process.pid), 1),
                          "lom_web_rss_mib": round(rss(web), 1)}))


if __name__ == "__main__":
    main()
