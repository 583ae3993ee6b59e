"""The sweeper: carries out wanted comparisons, and leaves what they found as evidence.

A run belongs to whoever wrote its SWEPT record last, by compare-and-set; the record is renewed all
through the run, so one that stands still on the observer's own clock belongs to a dead process
and is begun again from the start. Two sweepers never write into one result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import structlog

from dualwrite.copied import newest
from dualwrite.core import metric_names
from dualwrite.core.coverage import gaps_of
from dualwrite.core.errors import EngineError, LeaseExpired, StateConflict
from dualwrite.core.phases import TableState, is_followed
from dualwrite.core.ports import (
    Clock,
    Dynamo,
    Epochs,
    Metrics,
    Parents,
    Record,
    Records,
    RepairQueue,
    WorkQueue,
)
from dualwrite.core.records import (
    BACKFILL,
    STREAM,
    SWEEP,
    SWEPT,
    BackfillOrder,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from dualwrite.core.spec import MigratedTable, Migration
from verifier.holding import Holding, Silence, rest
from verifier.parts import SharedPasses
from verifier.passes import SEGMENTS, LeaderChanged, Passes, Tally
from verifier.reading import TableReader

POLL_SECONDS = 0.25
RENEW_SECONDS = 0.5
CALLS_MAX = 8
"""Reads in flight at once, over all tables: the sweep's share of the tables' capacity."""
MOVES_MAX = 2
"""A sweep whose leader changed under it begins again once."""
LAPSES_MAX = 10
"""One whose process lost its lease begins again more often: nothing has moved for that."""
FINAL_WRITES_MAX = 10

PAUSES_SECONDS = (0.5, 1.0, 2.0)
"""Between tries of what a sweep must know before it begins."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Claim:
    """A run this process carries out, and its result's record."""

    holding: Holding
    result: SweepResult
    passes: Passes | SharedPasses | None = None


class Sweeper:
    """Serves SWEEP orders, one run a table at a time."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        migration: Migration,
        epochs: Epochs,
        parents: Parents,
        repairs: RepairQueue,
        clock: Clock,
        metrics: Metrics,
        *,
        process_id: str,
        calls_max: int = CALLS_MAX,
        queue: WorkQueue | None = None,
    ) -> None:
        """``queue`` shares each run out to whoever works on its parts (``verifier/parts.py``)."""
        self._queue = queue
        self._reader = TableReader(dynamo, clock, calls_max=calls_max)
        self._records = records
        self._migration = migration
        self._epochs = epochs
        self._parents = parents
        self._repairs = repairs
        self._clock = clock
        self._metrics = metrics
        self._process_id = process_id
        self._log = log.bind(process=process_id)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._silence = Silence(clock)
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Serve orders until ``stop``; an engine that does not answer is asked again."""
        try:
            while not self._stopped.is_set():
                try:
                    await self.poll()
                except EngineError as error:
                    self._log.warning("sweep orders not read", error=str(error))
                await self._clock.sleep(POLL_SECONDS)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Let ``run`` end; what is not finished is begun again by the next process."""
        self._stopped.set()

    async def poll(self) -> None:
        """Claim and start what is wanted and not being done. Raises EngineError."""
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        orders = {record.name: record for record in await self._records.list(SWEEP)}
        if not orders:
            return
        results = {record.name: record for record in await self._records.list(SWEPT)}
        for name, order in orders.items():
            table = self._migration.by_name.get(name)
            if table is None or name in self._running:
                continue
            wanted = load(SweepOrder, order.value)
            if self._is_free(name, wanted, results.get(name)):
                await self._start(table, wanted, results.get(name))

    def _is_free(self, name: str, wanted: SweepOrder, held: Record | None) -> bool:
        """Whether a run is nobody's: not begun, or begun by a process that fell silent."""
        if held is None:
            return True
        result = load(SweepResult, held.value)
        if result.run != wanted.run:
            return True
        if result.done:
            return False
        return self._silence.is_lost(held)

    async def _start(self, table: MigratedTable, wanted: SweepOrder, held: Record | None) -> None:
        result = SweepResult(run=wanted.run, started_ms=self._clock.wall_ms())
        try:
            record = await self._records.write(
                SWEPT, table.name, dump(result), expected=held.version if held else 0
            )
        except StateConflict:
            return  # another sweeper was faster
        self._silence.forget(table.name)
        claim = _Claim(Holding(self._records, record), result)
        self._running[table.name] = asyncio.create_task(self._serve(table, claim))

    # -- one run ------------------------------------------------------------------------------

    async def _serve(self, table: MigratedTable, claim: _Claim) -> None:
        self._log.info("sweep begins", table=table.name, run=claim.result.run)
        work = asyncio.create_task(self._sweep(table, claim))
        try:
            while not work.done():
                await self._renew(claim)
                await rest(self._clock, work, RENEW_SECONDS)
            claim.result = replace(work.result(), done=True, finished_ms=self._clock.wall_ms())
            await self._finish(table, claim)
        except StateConflict:
            self._log.warning("sweep lost to another process", table=table.name)
        except EngineError as error:
            # The run stays unfinished in the records, and is begun again.
            self._log.warning("sweep result not written", table=table.name, error=str(error))
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await work

    async def _renew(self, claim: _Claim) -> None:
        found = claim.result
        if claim.passes is not None:
            found = _with(found, claim.passes.tally)
        with suppress(EngineError):  # the next renewal says it; who took over is seen there
            await claim.holding.write(dump(found))

    async def _finish(self, table: MigratedTable, claim: _Claim) -> None:
        for tries in range(1, FINAL_WRITES_MAX + 1):
            try:
                await claim.holding.write(dump(claim.result))
                break
            except EngineError:
                if tries == FINAL_WRITES_MAX:
                    raise
            await self._clock.sleep(RENEW_SECONDS)
        result = claim.result
        for kind in ("missing", "extra", "different"):
            self._metrics.set(
                metric_names.DRIFT, table.name, kind, value=float(getattr(result, kind))
            )
        self._log.info("sweep done", table=table.name, clean=result.clean, **_counts(result))

    async def _sweep(self, table: MigratedTable, claim: _Claim) -> SweepResult:
        moves = lapses = 0
        while moves < MOVES_MAX and lapses < LAPSES_MAX:
            claim.passes = None
            claim.result = SweepResult(run=claim.result.run, started_ms=self._clock.wall_ms())
            try:
                state = await self._state(table)
                claim.result = replace(
                    claim.result,
                    phase=state.phase.value,
                    epoch=state.epoch,
                    backfill_run=await self._told(self._backfilled, table),
                    gaps=await self._told(self._gaps, table),
                )
                attempt = f"{claim.result.run}-{moves + lapses + 1}"
                claim.passes = await self._passes(table, state, attempt)
                return _with(claim.result, await claim.passes.run())
            except LeaderChanged:
                moves += 1
                self._interrupted(table, "the lead moved", moves)
            except LeaseExpired:
                lapses += 1
                self._interrupted(table, "the lease of this process ran out", lapses)
            except EngineError as error:
                self._log.warning("sweep failed", table=table.name, error=str(error))
                break
            except Exception:
                # Whatever it was, it proves nothing; beginning again for ever would hide it.
                self._log.exception("sweep failed", table=table.name, run=claim.result.run)
                break
        tally = claim.passes.tally if claim.passes is not None else Tally()
        tally.errors += 1
        return _with(claim.result, tally)

    def _interrupted(self, table: MigratedTable, reason: str, n: int) -> None:
        self._log.warning("sweep interrupted", table=table.name, reason=reason, n=n)

    async def _state(self, table: MigratedTable) -> TableState:
        """The state, also where the lease takes a moment to come back. Raises LeaseExpired."""
        for pause in PAUSES_SECONDS:
            try:
                return self._epochs.current(table.name)
            except LeaseExpired:
                await self._clock.sleep(pause)
        return self._epochs.current(table.name)

    async def _passes(
        self, table: MigratedTable, state: TableState, attempt: str
    ) -> Passes | SharedPasses:
        leader = state.phase.leader

        def leads() -> bool:
            return self._epochs.current(table.name).phase.leader is leader

        if self._queue is not None:
            segments = await self._told(self._segments, table)
            return SharedPasses(
                table, state, f"{attempt}-{self._process_id}", segments,
                self._records, self._queue, self._clock, leads,
            )  # fmt: skip
        repairs = self._repairs if is_followed(table.kind, state.phase) else None
        return Passes(table, leader, self._reader, self._parents, repairs, self._clock, leads=leads)

    async def _segments(self, table: MigratedTable) -> int:
        """As many as its backfill had, which were chosen by its size. Raises EngineError."""
        record = await self._records.read(BACKFILL, table.name)
        return SEGMENTS if record is None else load(BackfillOrder, record.value).segments

    async def _backfilled(self, table: MigratedTable) -> str:
        """The table's backfill run if all of it is done now, else "". Raises EngineError."""
        found = await newest(self._records, table.name)
        return found[0].scan if found is not None and found[1].complete else ""

    async def _gaps(self, table: MigratedTable) -> Mapping[str, int]:
        """Raises EngineError."""
        return gaps_of(await self._records.list(STREAM, f"{table.name}/"))

    async def _told(self, ask: Callable[[MigratedTable], Awaitable[T]], table: MigratedTable) -> T:
        """What the control table says, though an answer of it be lost: without it a whole sweep
        would prove nothing. Raises EngineError where it does not answer for a while."""
        for pause in PAUSES_SECONDS:
            try:
                return await ask(table)
            except EngineError as error:
                self._log.warning("sweep waits", table=table.name, error=str(error))
                await self._clock.sleep(pause)
        return await ask(table)


def _with(result: SweepResult, tally: Tally) -> SweepResult:
    return replace(result, **asdict(tally))


def _counts(result: SweepResult) -> Mapping[str, int]:
    return {name: getattr(result, name) for name in Tally.__dataclass_fields__}
