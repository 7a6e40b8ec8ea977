#!/usr/bin/python3
"""How long lomd takes to answer what the shell asks for completion and for `show` of one target.

    tests/bench/answer_time.py [ROUNDS]

Speaks the control protocol on one connection, as a shell at its prompt does. Each time is that of the whole
question and answer as the client sees it: two crossings of the socket and two wake-ups of a process come on top of
what lomd itself needs. Targets are what a person completes on; `/` stands for the first Tab.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.control import Control  # noqa: E402
from support.lomd import Lomd  # noqa: E402

TARGETS = ["/", "/SP", "/SP/users/root", "/HOST", "/HOST/bootmode", "/System",
           "/SP/services/kvms/host_storage_device", "/SP/network"]


def processor_time(pid):
    """Seconds of processor that a process has used."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    worst = 0.0
    with Lomd() as sp, Control.local(sp) as shell:
        for op, more in (("describe", {}), ("show", {"depth": 1})):
            took = []
            before = processor_time(sp.process.pid)
            for _ in range(rounds):
                for target in TARGETS:
                    start = time.perf_counter()
                    shell.ask(op, target=target, **more)
                    took.append(time.perf_counter() - start)
            used = (processor_time(sp.process.pid) - before) / len(took) * 1000
            took.sort()
            p99 = took[int(len(took) * 0.99)] * 1000
            worst = max(worst, p99)
            print(f"{op} of {len(TARGETS)} targets, {len(took)} answers: "
                  f"median {took[len(took) // 2] * 1000:.3f} ms, p99 {p99:.3f} ms, worst {took[-1] * 1000:.3f} ms; "
                  f"processor time of lomd {used:.3f} ms each")
    sys.exit(worst > 1)


main()
