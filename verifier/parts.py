"""One sweep in many hands: segments of both sides as messages of the shared queue.

The records stay the truth. Whoever is given a part owns its record by compare-and-set and renews
it; a part whose record stands still, or which nobody began, is put on the queue again and begun
anew, so that each part counts once. All parts compare under the leader that the message names.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from dualwrite.core.errors import DualwriteError, EngineError, LeaseExpired, StateConflict
from dualwrite.core.phases import Side, TableState, is_followed
from dualwrite.core.ports import (
    Clock,
    Dynamo,
    Epochs,
    Job,
    Lane,
    Parcel,
    Parents,
    Record,
    Records,
    RepairQueue,
    WorkQueue,
)
from dualwrite.core.records import SWEEP_PART, SweepPart, dump, load
from dualwrite.core.spec import MigratedTable, Migration
from verifier.holding import SILENCE_SECONDS, Holding, Silence, rest
from verifier.passes import LeaderChanged, Passes, Tally
from verifier.reading import TableReader

POLL_SECONDS = 0.5
RENEW_SECONDS = 1.0
PARTS_MAX = 2
"""Parts of one process at a time."""
CALLS_MAX = 4
"""Reads in flight at once, over all parts of a process."""
UNBEGUN_SECONDS_MAX = 30.0
"""A part that nobody has begun by then is put on the queue again."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """What a message asks for."""

    table: str
    sweep: str
    side: Side
    number: int
    segments: int
    lead_epoch: int
    leader: Side

    @property
    def name(self) -> str:
        """Of its record, and the message's key."""
        return f"{self.table}/{self.sweep}/{self.side.value}-{self.number}"

    @property
    def parcel(self) -> Parcel:
        return Parcel(self.name, asdict(self))


def part_of(body: Mapping[str, Any]) -> Part:
    """The inverse. Raises ValueError for what is no such message."""
    try:
        part = Part(**body)
        return replace(part, side=Side(part.side), leader=Side(part.leader))
    except TypeError as error:
        raise ValueError("no part of a sweep") from error


class SharedPasses:
    """The same as ``Passes``, by other hands; ``tally`` is what they have found so far."""

    def __init__(
        self,
        table: MigratedTable,
        state: TableState,
        sweep: str,
        segments: int,
        records: Records,
        queue: WorkQueue,
        clock: Clock,
        leads: Callable[[], bool],
    ) -> None:
        """``sweep`` is a name that no other attempt of any sweep has."""
        self.tally = Tally()
        self._records = records
        self._queue = queue
        self._clock = clock
        self._leads = leads
        self._silence = Silence(clock)
        self._offered: dict[str, float] = {}
        self._prefix = f"{table.name}/"
        self._parts = {
            part.name: part
            for side in table.sides
            for number in range(segments)
            for part in (
                Part(
                    table.name, sweep, side, number, segments, state.lead_epoch, state.phase.leader
                ),
            )
        }

    async def run(self) -> Tally:
        """Share out, and wait. Raises LeaderChanged, LeaseExpired; an engine or queue that is away
        is waited for, and who ordered the sweep says for how long."""
        await self._forget(ours=False)
        while True:
            if not self._leads():
                raise LeaderChanged
            try:
                if await self._look():
                    await self._forget(ours=True)
                    return self.tally
            except EngineError as error:
                log.warning("parts of a sweep not seen to", error=str(error))
            await self._clock.sleep(POLL_SECONDS)

    async def _look(self) -> bool:
        """Whether all is done; what is nobody's is put on the queue. Raises EngineError."""
        found = {
            record.name: record
            for record in await self._records.list(SWEEP_PART, self._prefix)
            if record.name in self._parts
        }
        held = {name: load(SweepPart, record.value) for name, record in found.items()}
        self.tally = _sum(part.tally for part in held.values())
        if len(held) == len(self._parts) and all(part.done for part in held.values()):
            return True
        due = [
            name
            for name in self._parts
            if not (name in held and held[name].done) and self._is_due(name, found.get(name))
        ]
        await self._queue.put(Lane.SWEEPS, [self._parts[name].parcel for name in due])
        now = self._clock.monotonic_seconds()
        self._offered |= dict.fromkeys(due, now)
        for name in due:
            self._silence.forget(name)
        return False

    def _is_due(self, name: str, record: Record | None) -> bool:
        """Whether it is to be put on the queue: never yet, or in vain."""
        if name not in self._offered:
            return True
        if record is not None:
            return self._silence.is_lost(record)
        return self._clock.monotonic_seconds() - self._offered[name] > UNBEGUN_SECONDS_MAX

    async def _forget(self, *, ours: bool) -> None:
        """Remove the records of other sweeps of the table, or also of this one."""
        with suppress(EngineError, StateConflict):
            for record in await self._records.list(SWEEP_PART, self._prefix):
                if ours or record.name not in self._parts:
                    await self._records.delete(SWEEP_PART, record.name, expected=record.version)


class PartWorker:
    """Compares the parts that the queue gives to this process."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        queue: WorkQueue,
        migration: Migration,
        epochs: Epochs,
        parents: Parents,
        repairs: RepairQueue,
        clock: Clock,
        *,
        process_id: str,
    ) -> None:
        self._reader = TableReader(dynamo, clock, calls_max=CALLS_MAX)
        self._records = records
        self._queue = queue
        self._migration = migration
        self._epochs = epochs
        self._parents = parents
        self._repairs = repairs
        self._clock = clock
        self._me = process_id
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                try:
                    free = PARTS_MAX - len(self._running)
                    for job in await self._queue.take(Lane.SWEEPS, max(0, free)):
                        task = asyncio.create_task(self._serve(job))
                        self._running.add(task)
                        task.add_done_callback(self._running.discard)
                except EngineError as error:
                    log.warning("no parts of sweeps are given", error=str(error))
                await self._clock.sleep(POLL_SECONDS)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, job: Job) -> None:
        """Acknowledged however it ends: whatever is not done is put on the queue again."""
        try:
            part = part_of(job.parcel.body)
            table = self._migration.by_name[part.table]
            await self._compare(table, part)
        except (ValueError, KeyError):
            log.error("a job is no part of a sweep of this migration")
        except DualwriteError as error:
            log.warning("part of a sweep left", part=job.parcel.key, error=type(error).__name__)
        except Exception:
            # Its record stands still now, and the sweep's own time-out ends what always breaks.
            log.exception("part of a sweep broke", part=job.parcel.key)
        with suppress(EngineError):
            await self._queue.ack([job])

    async def _compare(self, table: MigratedTable, part: Part) -> None:
        def leads() -> bool:
            try:
                state = self._epochs.current(table.name)
            except LeaseExpired:
                return False
            return (state.phase.leader, state.lead_epoch) == (part.leader, part.lead_epoch)

        if not leads():
            return
        held = await self._records.read(SWEEP_PART, part.name)
        if held is not None and not await self._is_nobodys(held):
            return
        before = SweepPart() if held is None else load(SweepPart, held.value)
        mine = SweepPart(self._me, before.counter + 1)
        record = await self._records.write(
            SWEEP_PART, part.name, dump(mine), expected=held.version if held else 0
        )
        phase = self._epochs.current(table.name).phase
        repairs = self._repairs if is_followed(table.kind, phase) else None
        passes = Passes(
            table, part.leader, self._reader, self._parents, repairs, self._clock, leads=leads
        )
        work = asyncio.create_task(passes.run_part(part.side, part.number, part.segments))
        try:
            await self._until_over(Holding(self._records, record), mine, passes, work)
        except LeaderChanged:
            log.info("part of a sweep ends: the lead moved, or is not known", part=part.name)
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await work

    async def _is_nobodys(self, held: Record) -> bool:
        """Whether a part that somebody began is neither done nor worked on: a queue may tell twice
        of one. Raises EngineError."""
        if load(SweepPart, held.value).done:
            return False
        await self._clock.sleep(SILENCE_SECONDS)
        again = await self._records.read(held.kind, held.name)
        return again is not None and again.version == held.version

    async def _until_over(
        self, holding: Holding, mine: SweepPart, passes: Passes, work: "asyncio.Task[Tally]"
    ) -> None:
        """Renew until the work is over, then say so. Raises StateConflict, LeaderChanged, and
        EngineError where it cannot be said."""
        while not work.done():
            await rest(self._clock, work, RENEW_SECONDS)
            if work.done():
                break
            mine = replace(mine, counter=mine.counter + 1, tally=asdict(passes.tally))
            with suppress(EngineError):
                await holding.write(dump(mine))
        done = replace(mine, counter=mine.counter + 1, done=True, tally=asdict(work.result()))
        await holding.write(dump(done))


def _sum(tallies: Iterable[Mapping[str, int]]) -> Tally:
    total = Tally()
    for tally in tallies:
        for name, count in tally.items():
            setattr(total, name, getattr(total, name) + count)
    return total
