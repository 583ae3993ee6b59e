"""Whether a worker's memory stays flat: full load for minutes, its memory told after each turn."""

import argparse
import json
import time
from contextlib import ExitStack

from bench.processes import LOAD_CPU, WORKER_CPU, output_of, rss_mb, started

MINUTES = 10.0
TURN_SECONDS = 20.0
CASES = ("put", "get", "update-all-new", "query-20")
"""One after the other, at the managed table, so that every path of a worker is walked often."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--connections", type=int, default=256)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        backend, _ = stack.enter_context(started("bench.backend", cpu=LOAD_CPU))
        worker = ("bench.worker", "--backend", str(backend))
        port, pid = stack.enter_context(started(*worker, cpu=WORKER_CPU))
        began, turn, requests, memory = time.monotonic(), 0, 0, []
        while (passed := time.monotonic() - began) < arguments.minutes * 60 or turn < len(CASES):
            case = CASES[turn % len(CASES)]
            load = ("--port", str(port), "--case", case, "--managed")
            size = ("--seconds", str(TURN_SECONDS), "--connections", str(arguments.connections))
            requests += output_of("bench.load", *load, *size, cpu=LOAD_CPU)["requests"]
            memory.append(rss_mb(pid))
            print(f"{passed:6.0f} s  {requests:9d} requests  {memory[-1]:6.1f} MB", flush=True)
            turn += 1
    settled = memory[len(CASES) - 1]
    print(json.dumps({"requests": requests, "rss_mb_after_one_round": round(settled, 1),
                      "rss_mb_at_the_end": round(memory[-1], 1),
                      "grown_mb": round(memory[-1] - settled, 1)}))  # fmt: skip


if __name__ == "__main__":
    main()
