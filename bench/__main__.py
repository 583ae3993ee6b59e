"""One run of all benchmarks, on one worker: a table for people, ``results.json`` for machines."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.requests import MANAGED, SPEC, UNMANAGED_TABLE
from dualwrite.spec_file import load

RESULTS = Path(__file__).parent / "results.json"
SECONDS = 3.0
ROUNDS = 3
WARM_UP_SECONDS = 1.0
CONNECTIONS = 32
CONNECTIONS_MANY = 256
STOP_SECONDS = 10.0

Row = dict[str, Any]


@dataclass
class Subject:
    """Something that is measured, in rounds beside the others."""

    name: str
    kind: str
    table: str
    with_latency: bool
    port: int = 0
    pid: int = 0
    tops: list[Row] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    rate: float = 0.0
    rss_mb: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console()
    with console.status("measuring"):
        rows = measure(arguments.seconds, arguments.rounds)
    result = {"machine": machine(), "rows": rows}
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    show(console, rows)


def measure(seconds: float, rounds: int) -> list[Row]:
    """All rows, in the order in which they are shown.

    Rounds go through all subjects in turn, so that what else the machine does hits each alike,
    and of each the best round counts: what disturbs only ever makes it slower.
    """
    managed = load(SPEC).by_name[MANAGED].old.name
    subjects = [
        Subject("mirror-put", "proxy", managed, with_latency=True),
        Subject("pass-through-put", "proxy", UNMANAGED_TABLE, with_latency=True),
        Subject("floor-two-writes", "floor-2", managed, with_latency=False),
        Subject("floor-one-write", "floor-1", managed, with_latency=False),
    ]
    with ExitStack() as stack:
        backend, _ = stack.enter_context(started("bench.backend", cpu=1))
        for subject in subjects:
            command = ["bench.worker", "--backend", str(backend), "--kind", subject.kind]
            subject.port, process = stack.enter_context(started(*command, cpu=0))
            subject.pid = process.pid
            load_on(subject.port, subject.table, WARM_UP_SECONDS)
        applications = []
        for _ in range(rounds):
            applications.append(application(backend, seconds))
            for subject in subjects:
                subject.tops.append(top_of(subject, seconds))
        for subject in subjects:
            for _ in range(rounds if subject.with_latency else 0):
                subject.latencies.append(added_latency(subject, backend, seconds))
            load_on(subject.port, subject.table, WARM_UP_SECONDS, connections=CONNECTIONS_MANY)
            subject.rss_mb = rss_mb(subject.pid)
        ceiling = load_on(backend, managed, seconds)
    own = best(applications)
    return [
        {"bench": "backend-alone", "per_second": round(ceiling["per_second"])},
        row("application-both-tables", own, own),
        *(subject_row(subject, own) for subject in subjects),
    ]


def application(backend: int, seconds: float) -> Row:
    command = ["bench.application", "--port", str(backend), "--seconds", str(seconds)]
    return output_of(command, cpu=0)


def top_of(subject: Subject, seconds: float) -> Row:
    """As much as the worker takes, and its CPU time."""
    before = cpu_seconds(subject.pid)
    top = load_on(subject.port, subject.table, seconds)
    return {**top, "cpu_seconds": cpu_seconds(subject.pid) - before}


def added_latency(subject: Subject, backend: int, seconds: float) -> tuple[float, float]:
    """Milliseconds at p50 and p99 that the way through the worker adds, at half its best rate."""
    subject.rate = best(subject.tops)["per_second"] / 2
    direct = load_on(backend, subject.table, seconds, rate=subject.rate)
    through = load_on(subject.port, subject.table, seconds, rate=subject.rate)
    return through["p50_ms"] - direct["p50_ms"], through["p99_ms"] - direct["p99_ms"]


def best(measured: list[Row]) -> Row:
    return max(measured, key=lambda each: float(each["per_second"]))


def row(name: str, top: Row, own: Row) -> Row:
    return {
        "bench": name,
        "per_second": round(top["per_second"]),
        "ratio_to_application": round(top["per_second"] / own["per_second"], 1),
        "cpu_us_per_request": round(top["cpu_seconds"] / top["requests"] * 1e6, 1),
    }


def subject_row(subject: Subject, own: Row) -> Row:
    made = row(subject.name, best(subject.tops), own)
    if subject.latencies:
        p50, p99 = min(subject.latencies, key=lambda pair: pair[1])
        made["latency_rate_per_second"] = round(subject.rate)
        made["p50_added_ms"] = round(p50, 3)
        made["p99_added_ms"] = round(p99, 3)
    made["rss_mb"] = round(subject.rss_mb, 1)
    return made


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
        "load_average": [round(load, 2) for load in os.getloadavg()],
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
        table.add_column(title, justify="right" if title else "left", no_wrap=not title)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in columns))
    console.print(table)


if __name__ == "__main__":
    main()
