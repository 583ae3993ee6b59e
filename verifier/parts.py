"""One sweep in many hands: segments of both sides as messages of the shared queue.

The records stay the truth: the sweep makes one for each part, and a message whose part has none is
of a sweep that is over. Whoever is given a part owns its record by compare-and-set and renews it; a
part whose record stands still, or which nobody began, is put on the queue again once the queue has
it no longer, and begun anew, so that each part counts once. All parts compare under the leader that
the message names.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
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
    Ticket,
    WorkQueue,
)
from dualwrite.core.records import SWEEP_PART, SweepPart, dump, load
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.gathering import gathered
from verifier.holding import SILENCE_SECONDS, Holding, Silence, rest
from verifier.passes import LeaderChanged, Passes, Tally
from verifier.reading import TableReader

POLL_SECONDS = 0.5
PARTS_A_LOOK = 200
"""A look reads the records of all parts: with more of them it is taken more rarely."""
RENEW_SECONDS = 1.0
PARTS_MAX = 2
"""Parts of one process at a time."""
CALLS_MAX = 4
"""Reads in flight at once, over all parts of a process."""
UNBEGUN_SECONDS_MAX = 30.0
"""After which the queue is asked for a part that nobody has begun; what it lost is put there
again."""
RECORDS_AT_ONCE = 16
"""Records of parts made or removed at once."""

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


@dataclass(frozen=True, slots=True)
class _Offer:
    """A part's newest message, and when the queue was known to have it."""

    ticket: Ticket
    at: float


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
        self._begun = False
        self._offers: dict[str, _Offer] = {}
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
        self._poll_seconds = POLL_SECONDS * max(1.0, len(self._parts) / PARTS_A_LOOK)

    async def run(self) -> Tally:
        """Share out, and wait. Raises LeaderChanged, LeaseExpired, and StateConflict where another
        began a sweep of the table; an engine or queue that is away is waited for, and who ordered
        the sweep says for how long."""
        try:
            await self._until_done()
        except (LeaderChanged, LeaseExpired):
            await self._end()
            raise
        await self._end()
        return self.tally

    async def _until_done(self) -> None:
        while True:
            if not self._leads():
                raise LeaderChanged
            try:
                if not self._begun:
                    await self._begin()
                if await self._look():
                    return
            except EngineError as error:
                log.warning("parts of a sweep not seen to", error=str(error))
            await self._clock.sleep(self._poll_seconds)

    async def _begin(self) -> None:
        """Only the parts of this sweep have records from here on. Raises EngineError."""
        found = {record.name for record in await self._records.list(SWEEP_PART, self._prefix)}
        await _each(self._forget, [name for name in found if name not in self._parts])
        await _each(self._make, [name for name in self._parts if name not in found])
        self._begun = True

    async def _end(self) -> None:
        """What is left of the messages finds no record, and is acknowledged without a look."""
        with suppress(EngineError):  # the next sweep of the table removes them
            await _each(self._forget, list(self._parts))

    async def _make(self, name: str) -> None:
        with suppress(StateConflict):  # it was made already, and the answer was lost
            await self._records.write(SWEEP_PART, name, dump(SweepPart()), expected=0)

    async def _forget(self, name: str) -> None:
        """Whoever works on it learns it at its next renewal."""
        await self._records.delete(SWEEP_PART, name, expected=None)

    async def _look(self) -> bool:
        """Whether all is done; what is nobody's is put on the queue. Raises EngineError,
        StateConflict."""
        found = {
            record.name: record
            for record in await self._records.list(SWEEP_PART, self._prefix)
            if record.name in self._parts
        }
        if len(found) < len(self._parts):
            raise StateConflict("parts of a sweep were removed: another sweep of the table began")
        held = {name: load(SweepPart, record.value) for name, record in found.items()}
        self.tally = _sum(part.tally for part in held.values())
        undone = [name for name, part in held.items() if not part.done]
        if not undone:
            return True
        new = [name for name in undone if name not in self._offers]
        still = [
            name
            for name in undone
            if name in self._offers and self._is_still(found[name], held[name])
        ]
        due = new + await self._gone(still)
        tickets = await self._queue.put(Lane.SWEEPS, [self._parts[name].parcel for name in due])
        self._known(zip(due, tickets, strict=True))
        return False

    def _is_still(self, record: Record, part: SweepPart) -> bool:
        """Whether nobody works on a part, as far as its record tells."""
        if part.owner:
            return self._silence.is_lost(record)
        return self._clock.monotonic_seconds() - self._offers[record.name].at > UNBEGUN_SECONDS_MAX

    async def _gone(self, names: Sequence[str]) -> list[str]:
        """Those whose message is lost, or was acknowledged though the part is not done. What waits
        there is not put in twice, which would only lengthen the line. Raises EngineError."""
        if not names:
            return []
        waiting = {self._offers[name].ticket: name for name in names}
        settled = await self._queue.settled(Lane.SWEEPS, waiting)
        standing = await self._queue.standing(Lane.SWEEPS, waiting.keys() - settled)
        self._known((waiting[ticket], ticket) for ticket in standing)
        return [name for ticket, name in waiting.items() if ticket not in standing]

    def _known(self, offered: Iterable[tuple[str, Ticket]]) -> None:
        """The queue has these now."""
        now = self._clock.monotonic_seconds()
        for name, ticket in offered:
            self._offers[name] = _Offer(ticket, now)
            self._silence.forget(name)


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
        if held is None or not await self._is_nobodys(held):
            return
        mine = SweepPart(self._me, load(SweepPart, held.value).counter + 1)
        record = await self._records.write(SWEEP_PART, part.name, dump(mine), expected=held.version)
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
        """Whether a part is neither done nor worked on: a queue may tell twice of one. Raises
        EngineError."""
        part = load(SweepPart, held.value)
        if part.done or not part.owner:
            return not part.done
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


async def _each(work: Callable[[str], Coroutine[Any, Any, None]], names: Sequence[str]) -> None:
    """So many at once. Raises EngineError."""
    for at in range(0, len(names), RECORDS_AT_ONCE):
        await gathered(work(name) for name in names[at : at + RECORDS_AT_ONCE])


def _sum(tallies: Iterable[Mapping[str, int]]) -> Tally:
    total = Tally()
    for tally in tallies:
        for name, count in tally.items():
            setattr(total, name, getattr(total, name) + count)
    return total
