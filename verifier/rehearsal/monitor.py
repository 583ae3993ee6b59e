"""Watches a rehearsal while it goes: the control table, all /metrics pages, the histories."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dualwrite.core import metric_names
from dualwrite.core.backfills import progress_of, segments_prefix
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Record
from dualwrite.core.records import (
    BACKFILL,
    SEGMENT,
    STATE,
    STREAM,
    SWEPT,
    BackfillOrder,
    Segment,
    StreamProgress,
    SweepResult,
    load,
)
from dualwrite.queued import Queued, queued
from verifier.rehearsal.crew import Crew
from verifier.rehearsal.fleet import Reading, scrape
from verifier.rehearsal.history import ACKED, UNKNOWN, Entry
from verifier.rehearsal.options import World

LOOK_SECONDS = 0.25
CONTROL_EVERY = 4
"""Every how many looks the control table is read."""
SCRAPE_EVERY = 8
RECENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment (monotonic seconds)."""

    at: float
    phases: dict[str, str]
    copied: int
    to_copy: int
    lag_seconds: float
    drift: int
    repairs: int
    poison: int
    writes_per_second: float
    slowest_ms: float
    acknowledged: int
    units: float


@dataclass(slots=True)
class Seen:
    """The newest of everything; what the live view draws."""

    states: dict[str, TableState] = field(default_factory=dict)
    streams: dict[str, StreamProgress] = field(default_factory=dict)
    swept: dict[str, SweepResult] = field(default_factory=dict)
    orders: dict[str, BackfillOrder] = field(default_factory=dict)
    segments: dict[str, list[Segment]] = field(default_factory=dict)
    repairs: dict[str, Queued] = field(default_factory=dict)

    @property
    def copied(self) -> int:
        return sum(part.scanned for parts in self.segments.values() for part in parts)

    @property
    def drift(self) -> int:
        return sum(swept.missing + swept.extra + swept.different for swept in self.swept.values())

    @property
    def lag_seconds(self) -> float:
        return max((progress.lag_seconds for progress in self.streams.values()), default=0.0)

    @property
    def waiting(self) -> int:
        """Repairs that will be made."""
        return sum(one.waiting for one in self.repairs.values())

    @property
    def poison(self) -> int:
        """Keys that wait for a person."""
        return sum(one.poison for one in self.repairs.values())

    def backfilled(self, table: str) -> bool:
        """Whether the newest backfill of a table is over."""
        order = self.orders.get(table)
        return order is not None and progress_of(order, self.segments.get(table, [])).complete


class Monitor:
    """Keeps ``seen`` fresh and appends to ``samples`` until it is cancelled."""

    def __init__(
        self,
        world: World,
        crew: Crew,
        metrics_urls: Callable[[], dict[str, str]],
        items: int,
    ) -> None:
        self._world = world
        self._crew = crew
        crew.listeners.append(self.take)
        self._metrics_urls = metrics_urls
        self._items = items
        self._recent: deque[tuple[float, float]] = deque()
        self._units: dict[str, float] = {}
        self.seen = Seen()
        self.samples: list[Sample] = []
        self.acknowledged = 0
        self.unknown = 0

    async def run(self) -> None:
        """Look, for ever."""
        for turn in range(1_000_000_000):
            self._crew.read()
            if turn % CONTROL_EVERY == 0:
                await self.read_control()
            if turn % SCRAPE_EVERY == 0:
                await self.read_metrics()
            if turn % CONTROL_EVERY == 0:
                self.samples.append(self.sample())
            await self._world.clock.sleep(LOOK_SECONDS)

    def take(self, entries: list[Entry]) -> None:
        """Take in what the workload has written down since the last look."""
        for entry in entries:
            if entry.writes and entry.outcome == ACKED:
                self.acknowledged += 1
                self._recent.append((entry.ended, entry.ended - entry.started))
            elif entry.writes:
                self.unknown += entry.outcome == UNKNOWN
        newest = max((ended for ended, _ in self._recent), default=0.0)
        while self._recent and self._recent[0][0] < newest - 2 * RECENT_SECONDS:
            self._recent.popleft()

    async def read_control(self) -> None:
        """Read the control table; an engine that does not answer leaves things as they were."""
        try:
            await self._read_control()
        except EngineError:
            return

    async def _read_control(self) -> None:
        records, seen = self._world.records, self.seen
        states = {r.name: load(TableState, r.value) for r in await records.list(STATE)}
        seen.states = states
        seen.streams = {r.name: load(StreamProgress, r.value) for r in await records.list(STREAM)}
        seen.swept = {r.name: load(SweepResult, r.value) for r in await records.list(SWEPT)}
        seen.orders = {r.name: load(BackfillOrder, r.value) for r in await records.list(BACKFILL)}
        seen.repairs = {name: await queued(records, name) for name in self._world.migration.by_name}
        segments = await records.list(SEGMENT)
        seen.segments = {table: self._of_run(table, segments) for table in seen.orders}

    def _of_run(self, table: str, records: tuple[Record, ...]) -> list[Segment]:
        prefix = segments_prefix(table, self.seen.orders[table])
        return [load(Segment, r.value) for r in records if r.name.startswith(prefix)]

    async def read_metrics(self) -> None:
        """Keep the last value of each process; a killed one's counters end with it."""
        for name, url in self._metrics_urls().items():
            if not name.startswith("proxy"):
                continue
            readings = await asyncio.to_thread(scrape, url)
            if readings:
                self._units[name] = _total(readings, metric_names.UNITS)

    @property
    def units(self) -> float:
        """Capacity units that client writes took, over all proxies there ever were."""
        return sum(self._units.values())

    def sample(self) -> Sample:
        """How things stand now."""
        now = self._world.clock.monotonic_seconds()
        last = [took for ended, took in self._recent if ended > now - 2 * RECENT_SECONDS]
        return Sample(
            at=now,
            phases={name: state.phase.value for name, state in self.seen.states.items()},
            copied=self.seen.copied,
            to_copy=max(self._items, self.seen.copied),
            lag_seconds=self.seen.lag_seconds,
            drift=self.seen.drift,
            repairs=self.seen.waiting,
            poison=self.seen.poison,
            writes_per_second=len(last) / (2 * RECENT_SECONDS),
            slowest_ms=max(last, default=0.0) * 1000,
            acknowledged=self.acknowledged,
            units=self.units,
        )


def _total(readings: list[Reading], name: str) -> float:
    return sum(reading.value for reading in readings if reading.name == name)
