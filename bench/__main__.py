"""One run of all benchmarks, on one worker: a table for people, ``results.json`` for machines."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.requests import MANAGED, SPEC, UNMANAGED_TABLE
from dualwrite.spec_file import load

RESULTS = Path(__file__).parent / "results.json"
SECONDS = 5.0
WARM_UP_SECONDS = 1.0
CONNECTIONS = 32
CONNECTIONS_MANY = 256
STOP_SECONDS = 10.0

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console()
    with console.status("measuring"):
        rows = measure(arguments.seconds, load(SPEC).by_name[MANAGED].old.name)
    result = {"machine": machine(), "rows": rows}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    show(console, rows)


def measure(seconds: float, managed: str) -> list[Row]:
    """All rows, in the order in which they are shown."""
    with ExitStack() as stack:
        backend, _ = stack.enter_context(started("bench.backend", cpu=1))
        ceiling = load_on(backend, managed, seconds)
        application = output_of(
            ["bench.application", "--port", str(backend), "--seconds", str(seconds)], cpu=0
        )
        base = application["per_second"]
        rows: list[Row] = [
            {"bench": "backend-alone", "per_second": round(ceiling["per_second"])},
            {"bench": "application-both-tables", "per_second": round(base),
             "ratio_to_application": 1.0,
             "cpu_us_per_request":
                 round(application["cpu_seconds"] / application["requests"] * 1e6, 1)},
        ]  # fmt: skip
        for kind, table, name in (
            ("proxy", managed, "mirror-put"),
            ("proxy", UNMANAGED_TABLE, "pass-through-put"),
            ("floor-2", managed, "floor-two-writes"),
            ("floor-1", managed, "floor-one-write"),
        ):
            rows.append(worker_row(backend, kind, table, name, seconds, base))
        return rows


def worker_row(backend: int, kind: str, table: str, name: str, seconds: float, base: float) -> Row:
    """One fresh worker: its maximum, its cost, its memory, and what it adds at half of that."""
    with started("bench.worker", "--backend", str(backend), "--kind", kind, cpu=0) as (
        port,
        process,
    ):
        load_on(port, table, WARM_UP_SECONDS)
        cpu_before = cpu_seconds(process.pid)
        top = load_on(port, table, seconds)
        cpu = cpu_seconds(process.pid) - cpu_before
        rate = top["per_second"] / 2
        through = load_on(port, table, seconds, rate=rate)
        load_on(port, table, WARM_UP_SECONDS, connections=CONNECTIONS_MANY)
        memory = rss_mb(process.pid)
    direct = load_on(backend, table, seconds, rate=rate)
    return {
        "bench": name,
        "per_second": round(top["per_second"]),
        "ratio_to_application": round(top["per_second"] / base, 1),
        "cpu_us_per_request": round(cpu / top["requests"] * 1e6, 1),
        "latency_rate_per_second": round(rate),
        "p50_added_ms": round(through["p50_ms"] - direct["p50_ms"], 3),
        "p99_added_ms": round(through["p99_ms"] - direct["p99_ms"], 3),
        "rss_mb": round(memory, 1),
    }


# -- processes ------------------------------------------------------------------------------


@contextmanager
def started(module: str, *arguments: str, cpu: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A process that prints its port, and serves until the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE, text=True, preexec_fn=lambda: pin(cpu),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{module} ended before it served")
        yield int(line), process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def load_on(
    port: int, table: str, seconds: float, *, rate: float = 0.0, connections: int = CONNECTIONS
) -> Row:
    """What the load generator measured."""
    return output_of(
        ["bench.load", "--port", str(port), "--table", table, "--seconds", str(seconds),
         "--connections", str(connections), "--rate", str(rate)],
        cpu=1,
    )  # fmt: skip


def output_of(command: list[str], *, cpu: int) -> Row:
    finished = subprocess.run(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: pin(cpu),
    )  # fmt: skip
    result: Row = json.loads(finished.stdout)
    return result


def pin(cpu: int) -> None:
    """Keep this process on one core, where the system can: the worker has one for itself."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[min(cpu, len(cores) - 1)]})


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where the system does not tell exactly."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Memory a process holds now."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text().partition("VmRSS:")[2].split()[0]) / 1024
    command = ["ps", "-o", "rss=", "-p", str(pid)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


# -- showing --------------------------------------------------------------------------------


def machine() -> Row:
    return {
        "system": platform.platform(terse=True),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def show(console: Console, rows: list[Row]) -> None:
    table = Table(title="one worker, constant-answer backend")
    columns = {
        "bench": "",
        "per_second": "per second",
        "ratio_to_application": "times the application",
        "cpu_us_per_request": "CPU µs a request",
        "p50_added_ms": "p50 added, ms",
        "p99_added_ms": "p99 added, ms",
        "rss_mb": "RSS, MB",
    }
    for title in columns.values():
        table.add_column(title, justify="right" if title else "left")
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in columns))
    console.print(table)


if __name__ == "__main__":
    main()
