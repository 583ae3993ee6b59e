"""The benchmark's processes: each on the core it is given, and what they cost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]

STOP_SECONDS = 10.0
WORKER_CPU, LOAD_CPU = 0, 1
"""The measured process has a core for itself; backend and load generator share the other one."""


@contextmanager
def started(module: str, *arguments: str, cpu: int) -> Iterator[tuple[int, int]]:
    """(port, process id) of a process that prints its port, and serves until the context ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE, text=True, preexec_fn=pinned(cpu),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{module} ended before it served")
        yield int(line), process.pid
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def output_of(module: str, *arguments: str, cpu: int) -> Row:
    """The JSON that a process prints at its end."""
    finished = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE, text=True, check=True, preexec_fn=pinned(cpu),
    )  # fmt: skip
    result: Row = json.loads(finished.stdout)
    return result


def pinned(cpu: int) -> Callable[[], None]:
    """What a new process calls to keep itself on one core, where the system can."""

    def pin() -> None:
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[min(cpu, len(cores) - 1)]})

    return pin


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
