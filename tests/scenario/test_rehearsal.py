"""The whole product, once: real processes, a live application, kills, and a verdict."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.engines_chosen import ASKED, KAFKA, EngineName

DUALWRITE = str(Path(sys.executable).with_name("dualwrite"))
WAIT_SECONDS_MAX = 90.0
FINISH_SECONDS_MAX = 540.0
LOCAL = EngineName.DYNAMODB_LOCAL


def command(report: Path, *more: str) -> list[str]:
    return [DUALWRITE, "rehearse", "--report", str(report), *more]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("engine", "queue"),
    [(EngineName.MINISTACK, "memory"), (LOCAL, "memory"), (LOCAL, KAFKA)],
)
def test_a_small_migration_passes_with_kills(tmp_path: Path, engine: str, queue: str) -> None:
    """Under load and SIGKILLs nothing is lost, resurrected or different, and the exit code and
    report.json say so; standard output is that report alone. On whatever engine, and whichever
    way consumers share their work."""
    lacks = {engine, queue} - ASKED - {"memory"}
    if lacks:
        pytest.skip(f"ENGINES does not name {', '.join(sorted(lacks))}")
    done = subprocess.run(
        command(tmp_path, "--items", "600", "--rate", "40", "--dwell", "0.4", "--seed", "11",
                "--engine", engine, "--queue", queue, "--json"),
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    told = json.loads(done.stdout)
    broken = [i for i in told["invariants"] if not i["held"]]
    assert told["verdict"] == "pass", (broken, told["findings"], told["error"])
    assert done.returncode == 0
    assert told == json.loads((tmp_path / "report.json").read_text())
    assert told["seed"] == 11
    assert told["acknowledged"] > 0
    assert (told["lost"], told["resurrected"], told["different"]) == (0, 0, 0)
    assert told["units_per_write"] > 1
    assert [flip["direction"] for flip in told["flips"]] == ["new", "old", "new"]
    names = [step["name"] for step in told["steps"]]
    assert names[:4] == ["off", "mirror/old", "backfill", "sweep"]
    assert names[-2:] == ["done", "after done"]
    assert {struck["victim"].split("-")[0] for struck in told["faults"]} == {"proxy", "consumer"}
    assert set(told["dialects"]) == {"old", "new"}
    assert set(told["sdks"]) == {"boto3-client", "boto3-resource", "pynamodb"}
    assert (tmp_path / "report.html").stat().st_size > 100_000


class Process(NamedTuple):
    pid: int
    parent: int
    args: str


def running() -> list[Process]:
    """All processes of the machine. Asked for without a limit of width: on a terminal, or where
    COLUMNS is set, `ps` cuts a command line off in the middle of its path."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 2) for line in listed.splitlines())
    return [Process(int(row[0]), int(row[1]), row[2]) for row in rows if len(row) == 3]


def family(pid: int) -> dict[int, str]:
    """All descendants of a process: pid -> command line."""
    everything = running()
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {
            process.pid: process.args for process in everything if process.parent in parents
        }
        found |= children
        parents = set(children)
    return {child: args for child, args in found.items() if not args.startswith("ps ")}


def alive(children: dict[int, str]) -> list[str]:
    """Those that still run (a pid that names another command by now is not ours)."""
    return [process.args for process in running() if children.get(process.pid) == process.args]


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A rehearsal whose application works already."""
    process = subprocess.Popen(
        command(tmp_path, "--items", "400", "--no-faults", "--dwell", "0.4"),
        stdout=subprocess.DEVNULL,
    )
    history = tmp_path / "histories" / "w0.jsonl"
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (history.exists() and history.stat().st_size):
        assert process.poll() is None, "the rehearsal ended before it was interrupted"
        assert time.monotonic() < deadline, "the application never started"
        time.sleep(0.1)
    yield process
    process.kill()
    process.wait()


@pytest.mark.timeout(660)
def test_what_others_end_is_brought_back(
    under_way: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """Whoever kills or terminates processes of the service from outside finds them started again,
    the migration done, and what he did in the report."""
    service = [
        (pid, args)
        for pid, args in sorted(family(under_way.pid).items())
        if any(f"dualwrite {verb} " in args for verb in ("proxy", "consume", "control"))
    ]
    assert len(service) == 5
    for number, (pid, _) in enumerate(service):
        os.kill(pid, (signal.SIGKILL, signal.SIGTERM)[number % 2])
        time.sleep(1)
    assert under_way.wait(timeout=FINISH_SECONDS_MAX) == 0
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["verdict"] == "pass"
    assert {fault["blow"] for fault in told["faults"]} == {"ended by others"}
    assert len(told["faults"]) == len(service)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_stops_everything_and_reports(
    under_way: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C leaves no process behind, and a report that says "fail" and why."""
    children = family(under_way.pid)
    assert len(children) >= 10
    under_way.send_signal(number)
    assert under_way.wait(timeout=WAIT_SECONDS_MAX) == 1
    assert alive(children) == []
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["verdict"] == "fail"
    assert told["interrupted"] is True


@pytest.mark.timeout(240)
def test_a_rehearsal_that_is_killed_leaves_nothing_behind(
    under_way: subprocess.Popen[bytes],
) -> None:
    """Even SIGKILL, which nobody can answer, orphans no process: the guard ends them."""
    children = family(under_way.pid)
    under_way.kill()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while alive(children):
        assert time.monotonic() < deadline, alive(children)
        time.sleep(0.1)


def test_an_engine_that_does_not_answer_is_one_plain_line(tmp_path: Path) -> None:
    """Exit code 1, a report that says why, and nothing left behind."""
    done = subprocess.run(
        command(tmp_path, "--engine", "http://127.0.0.1:9", "--json"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "no engine answers at http://127.0.0.1:9"
