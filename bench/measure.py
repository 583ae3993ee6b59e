"""The measurements: each case in each mode, beside boto3 and beside one plain hop.

Rounds go through all subjects of a case in turn, so that what else the machine does hits each
alike, and of each the best round counts: what disturbs only ever makes it slower.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.cases import CASES, Case
from bench.hop import nginx
from bench.processes import (
    LOAD_CPU,
    WORKER_CPU,
    Row,
    cpu_seconds,
    output_of,
    pinned,
    rss_mb,
    started,
)
from dualwrite.core.phases import Phase

MODES: Mapping[str, tuple[Phase, bool]] = {
    "unmanaged": (Phase.MIRROR_OLD, False),
    "mirror": (Phase.MIRROR_OLD, True),
    "atomic": (Phase.ATOMIC_OLD, True),
}
"""The state of the worker's tables, and whether the requests name one of them."""
CONNECTIONS, CONNECTIONS_MANY = 32, 256
WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Subject:
    """One worker that is measured."""

    mode: str
    port: int
    pid: int

    @property
    def managed(self) -> bool:
        return MODES[self.mode][1]


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    cases: Sequence[str]
    modes: Sequence[str]
    seconds: float
    rounds: int


def measure(plan: Plan) -> Iterator[Row]:
    """The rows, as they are known."""
    with ExitStack() as stack:
        backend, _ = stack.enter_context(started("bench.backend", cpu=LOAD_CPU))
        hop = stack.enter_context(nginx(backend, pinned(WORKER_CPU)))
        subjects = []
        for mode in plan.modes:
            phase, _ = MODES[mode]
            worker = ("bench.worker", "--backend", str(backend), "--phase", phase.value)
            subjects.append(Subject(mode, *stack.enter_context(started(*worker, cpu=WORKER_CPU))))
        for name in plan.cases:
            yield from _case_rows(plan, CASES[name], backend, hop, subjects)
    with ExitStack() as stack:
        backend, _ = stack.enter_context(started("bench.backend", cpu=LOAD_CPU))
        for kind in ("floor-1", "floor-2"):
            worker = ("bench.worker", "--backend", str(backend), "--kind", kind)
            port, pid = stack.enter_context(started(*worker, cpu=WORKER_CPU))
            _load(port, "put", False, WARM_UP_SECONDS)
            yield {"bench": kind, **_rate(_top(port, pid, "put", False, plan.seconds))}


def _case_rows(
    plan: Plan, case: Case, backend: int, hop: int | None, subjects: Sequence[Subject]
) -> Iterator[Row]:
    """What an application and a hop do, then each mode beside them."""
    once: list[Row] = []
    both: list[Row] = []
    hops: list[Row] = []
    tops: dict[str, list[Row]] = {subject.mode: [] for subject in subjects}
    for subject in subjects:
        _load(subject.port, case.name, subject.managed, WARM_UP_SECONDS)
    for _ in range(plan.rounds):
        once.append(_application(backend, case, plan.seconds))
        if case.writes:
            both.append(_application(backend, case, plan.seconds, "--both"))
        if hop is not None:
            hops.append(_load(hop, case.name, False, plan.seconds))
        for subject in subjects:
            top = _top(subject.port, subject.pid, case.name, subject.managed, plan.seconds)
            tops[subject.mode].append(top)
    beside = {"application": _best(once), "application-both": _best(both), "hop": _best(hops)}
    for name, top in beside.items():
        if top:
            yield {"bench": f"{name}-{case.name}", **_rate(top)}
    for subject in subjects:
        own = beside["application-both" if case.writes and subject.managed else "application"]
        top = _best(tops[subject.mode])
        row = {"bench": f"{subject.mode}-{case.name}", **_rate(top)}
        row["ratio_to_application"] = round(top["per_second"] / own["per_second"], 1)
        if beside["hop"]:
            row["ratio_to_hop"] = round(top["per_second"] / beside["hop"]["per_second"], 2)
        yield row | _latencies(subject, case, backend, top, plan.seconds)


def _latencies(subject: Subject, case: Case, backend: int, top: Row, seconds: float) -> Row:
    """At half its best rate, beside the backend alone at that rate; and with all it can take on
    few and on many connections."""
    rate, managed = top["per_second"] / 2, subject.managed
    direct = _load(backend, case.name, managed, seconds, rate=rate)
    through = _load(subject.port, case.name, managed, seconds, rate=rate)
    many = _load(subject.port, case.name, managed, seconds, connections=CONNECTIONS_MANY)
    return {
        "p50_added_ms": round(through["p50_ms"] - direct["p50_ms"], 3),
        "p99_added_ms": round(through["p99_ms"] - direct["p99_ms"], 3),
        "p50_ms": round(top["p50_ms"], 2),
        "p99_ms": round(top["p99_ms"], 2),
        "per_second_256": round(many["per_second"]),
        "p50_256_ms": round(many["p50_ms"], 2),
        "p99_256_ms": round(many["p99_ms"], 2),
        "rss_mb": round(rss_mb(subject.pid), 1),
    }


def _rate(top: Row) -> Row:
    return {
        "per_second": round(top["per_second"]),
        **(
            {"cpu_us_per_request": round(top["cpu_seconds"] / top["requests"] * 1e6, 1)}
            if "cpu_seconds" in top
            else {}
        ),
    }


def _best(measured: Sequence[Row]) -> Row:
    return max(measured, key=lambda each: float(each["per_second"]), default={})


def _application(backend: int, case: Case, seconds: float, *more: str) -> Row:
    arguments = ("--port", str(backend), "--case", case.name, "--seconds", str(seconds), *more)
    return output_of("bench.application", *arguments, cpu=WORKER_CPU)


def _top(port: int, pid: int, case: str, managed: bool, seconds: float) -> Row:
    """As much as a process takes, and its CPU time."""
    before = cpu_seconds(pid)
    top = _load(port, case, managed, seconds)
    return {**top, "cpu_seconds": cpu_seconds(pid) - before}


def _load(
    port: int,
    case: str,
    managed: bool,
    seconds: float,
    *,
    rate: float = 0.0,
    connections: int = CONNECTIONS,
) -> Row:
    """What the load generator measured."""
    arguments = ["--port", str(port), "--case", case, "--seconds", str(seconds)]
    arguments += ["--connections", str(connections), "--rate", str(rate)]
    arguments += ["--managed"] if managed else []
    return output_of("bench.load", *arguments, cpu=LOAD_CPU)
