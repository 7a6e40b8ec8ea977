#!/usr/bin/python3
"""Redfish GET of a System over HTTPS by keep-alive clients: requests a second, latency, and the memory of
lomd and lom-web together afterwards.

    tests/bench/redfish_get.py [CLIENTS] [SECONDS] [SESSIONS]

The clients are wrk's (Debian package wrk), one thread, because a client in Python would be what is measured.
They share one session, or are given one of SESSIONS in turn. Exit status 1: the 99th percentile is above 10 ms,
an answer was not 200, or both together hold more than 40 MiB.
"""

import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.support.lomd import Lomd  # noqa: E402
from tests.support.redfish import Client  # noqa: E402

SYSTEM = "/redfish/v1/Systems/host0"
SCRIPT = """
local tokens = {%s}
local at = 0
function request()
   at = at %% #tokens + 1
   return wrk.format("GET", nil, {["X-Auth-Token"] = tokens[at]})
end
"""
MS = {"us": 0.001, "ms": 1, "s": 1000}


def rss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def processor_time(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def percentile(report, which):
    number, unit = re.search(rf"^ +{which}% +([\d.]+)(us|ms|s)", report, re.M).groups()
    return round(float(number) * MS[unit], 2)


def main():
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    sessions = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    with Lomd() as sp:
        tokens = [Client(sp).headers["X-Auth-Token"] for _ in range(sessions)]
        script = sp.home / "wrk.lua"
        script.write_text(SCRIPT % ", ".join(f'"{token}"' for token in tokens))
        pids = {"lomd": sp.process.pid, "lom_web": json.loads((sp.run_dir / "web.json").read_text())["pid"]}
        before = {name: processor_time(pid) for name, pid in pids.items()}
        report = subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{seconds}", "--latency", "-s", script,
             f"https://127.0.0.1:{sp.ports['https']}{SYSTEM}"],
            check=True, capture_output=True, text=True).stdout
        count = int(re.search(r"(\d+) requests in", report).group(1))
        result = {"clients": clients, "sessions": sessions,
                  "requests_per_second": round(float(re.search(r"Requests/sec: +([\d.]+)", report).group(1))),
                  "median_ms": percentile(report, 50), "p99_ms": percentile(report, 99)}
        for name, pid in pids.items():
            used = processor_time(pid) - before[name]
            result[f"{name}_us_each"] = round(used / count * 1e6, 1)
            result[f"{name}_rss_mib"] = round(rss_mib(pid), 1)
        print(json.dumps(result))
        fine = "Non-2xx" not in report and "Socket errors" not in report
        together = result["lomd_rss_mib"] + result["lom_web_rss_mib"]
        sys.exit(not fine or result["p99_ms"] > 10 or together > 40)


main()
