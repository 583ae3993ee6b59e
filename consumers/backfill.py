"""The backfill: a parallel scan in leased segments, each checkpointed after its page is applied."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from consumers.bypass import Bypasses
from consumers.copy import Copied, Copier, NotNow
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.pages import Pages
from consumers.probe import statements_are_streamed
from consumers.segments import SegmentDesk
from dualwrite.core import metric_names
from dualwrite.core.backfills import progress_of, segment_name
from dualwrite.core.errors import DualwriteError, EngineError, LeaseExpired, StateConflict
from dualwrite.core.items import size_bytes
from dualwrite.core.phases import Phase
from dualwrite.core.ports import Clock, Dynamo, Epochs, Metrics, Record, Records, WorkQueue
from dualwrite.core.records import BACKFILL, RUN, SEGMENT, BackfillOrder, Segment, dump, load
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stillness import Stillness

log = structlog.get_logger()


class _Owned:
    """A segment this process works on; all writes of its record go through here, one at a time."""

    def __init__(self, records: Records, record: Record, segment: Segment, *, looks: bool) -> None:
        self.segment = segment
        self.looks = looks
        """Whether much of the next page is thought to be copied already."""
        self._records = records
        self._record = record
        self._writing = asyncio.Lock()

    async def write(self, **changes: Any) -> None:
        """Change and renew. Raises StateConflict where the segment is another's now."""
        async with self._writing:
            wanted = replace(self.segment, counter=self.segment.counter + 1, **changes)
            self._record = await self._records.write(
                SEGMENT, self._record.name, dump(wanted), expected=self._record.version
            )
            self.segment = wanted


class Backfill:
    """Serves BACKFILL orders together with the other live consumers."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        migration: Migration,
        epochs: Epochs,
        copier: Copier,
        bypasses: Bypasses,
        consumers: Consumers,
        clock: Clock,
        metrics: Metrics,
        effort: Effort,
        pace: Pace,
        queue: WorkQueue | None = None,
        probe_table: str = "",
    ) -> None:
        """``queue`` says which segments are for this process; without one it takes what is free.
        ``probe_table`` is made, and deleted, to learn of conditional batches; "": none are used."""
        self._probe_table = probe_table
        self._learning = asyncio.Lock()
        self._desk = None if queue is None else SegmentDesk(queue, clock, pace)
        self._dynamo = dynamo
        self._records = records
        self._migration = migration
        self._epochs = epochs
        self._copier = copier
        self._bypasses = bypasses
        self._consumers = consumers
        self._clock = clock
        self._metrics = metrics
        self._effort = effort
        self._pace = pace
        self._stillness = Stillness(clock)
        self._orders: dict[str, BackfillOrder] = {}
        self._complete: dict[str, str] = {}
        """By table: the scan that is known to be complete."""
        self._unfinished: dict[str, str] = {}
        """By table: the scan that was seen before its end, which alone is news here."""
        self._pages = Pages(dynamo, copier, consumers, clock, metrics, effort, pace)
        self._running: dict[str, asyncio.Task[None]] = {}

    async def step(self) -> None:
        """Look at the orders and start what is wanted and free. Raises EngineError."""
        try:
            await self._step()
        except DualwriteError:
            if self._desk is not None:
                await self._desk.failing()
            raise

    async def _step(self) -> None:
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        self._orders = {
            record.name: load(BackfillOrder, record.value)
            for record in await self._records.list(BACKFILL)
            if record.name in self._migration.by_name
        }
        for name, order in self._orders.items():
            self._bypasses.begin(name, order.asked_ms)
        open_orders = {
            name: order
            for name, order in self._orders.items()
            if self._complete.get(name) != order.scan
        }
        if self._desk is not None:
            await self._desk.step(self._running, self._pace.segments_in_flight_max)
        if not open_orders:
            return
        records = {record.name: record for record in await self._records.list(SEGMENT)}
        self._stillness.observe(records.values())
        for name, order in open_orders.items():
            await self._serve(self._migration.by_name[name], order, records)

    async def stop(self) -> None:
        """Leave off; segments in work are released at their last checkpoint."""
        running, self._running = self._running, {}
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)

    async def _serve(
        self, table: MigratedTable, order: BackfillOrder, records: Mapping[str, Record]
    ) -> None:
        names = [segment_name(table.name, order, number) for number in range(order.segments)]
        segments = {name: load(Segment, records[name].value) for name in names if name in records}
        self._show(table, order, segments.values())
        if progress_of(order, segments.values()).complete:
            self._complete[table.name] = order.scan
            if self._unfinished.get(table.name) == order.scan:
                log.info("backfill complete", table=table.name, run=order.scan)
            return
        self._unfinished[table.name] = order.scan
        if not self._may_begin(table, order):
            return
        free = [
            number
            for number, name in enumerate(names)
            if name not in self._running
            and not (segment := segments.get(name, Segment())).done
            and self._is_free(name, segment)
        ]
        if self._desk is not None:
            if self._consumers.is_mine(f"{table.name}/{order.scan}"):
                await self._desk.offer(names[number] for number in free)
            free = [number for number in free if self._desk.holds(names[number])]
        for number in free[: self._pace.segments_in_flight_max - len(self._running)]:
            name = names[number]
            segment = segments.get(name, Segment())
            await self._start(table, order, number, name, records.get(name), segment)

    def _is_free(self, name: str, segment: Segment) -> bool:
        if segment.owner in ("", self._consumers.me):
            return True
        return self._stillness.seconds(name) > self._pace.silence_seconds

    async def _start(
        self,
        table: MigratedTable,
        order: BackfillOrder,
        number: int,
        name: str,
        record: Record | None,
        segment: Segment,
    ) -> None:
        mine = replace(
            segment,
            owner=self._consumers.me,
            counter=segment.counter + 1,
            started_ms=segment.started_ms or self._clock.wall_ms(),
        )
        try:
            taken = await self._records.write(
                SEGMENT, name, dump(mine), expected=record.version if record else 0
            )
        except StateConflict:
            return  # another consumer was faster
        # A page that somebody began and did not end is copied in part.
        looks = order.split > 0 or bool(segment.started_ms)
        owned = _Owned(self._records, taken, mine, looks=looks)
        self._running[name] = asyncio.create_task(self._run(table, order, number, owned))

    # -- one segment --------------------------------------------------------------------------

    async def _run(
        self, table: MigratedTable, order: BackfillOrder, number: int, owned: _Owned
    ) -> None:
        log.info("segment begins", table=table.name, segment=number, of=order.segments)
        heart = asyncio.create_task(self._renew(owned))
        try:
            await self._learn()
            await self._scan(table, order, number, owned)
        except StateConflict:
            log.warning("segment lost to another consumer", table=table.name, segment=number)
        except NotNow as error:
            log.warning("backfill stands", table=table.name, error=str(error))
        finally:
            heart.cancel()
            with suppress(asyncio.CancelledError, DualwriteError):
                await heart
            with suppress(DualwriteError):
                await owned.write(owner="")

    async def _learn(self) -> None:
        """Ask the engine once whether it allows conditional batches."""
        async with self._learning:
            if self._probe_table and not self._copier.in_statements:
                name, self._probe_table = self._probe_table, ""
                self._copier.in_statements = await statements_are_streamed(
                    self._dynamo, self._clock, name
                )

    async def _renew(self, owned: _Owned) -> None:
        """A slow page must not cost the lease."""
        while True:
            await self._clock.sleep(self._pace.renew_seconds)
            with suppress(EngineError):
                await owned.write()

    async def _scan(
        self, table: MigratedTable, order: BackfillOrder, number: int, owned: _Owned
    ) -> None:
        failures = 0
        while not owned.segment.done:
            try:
                await self._page(table, order, number, owned)
            except (EngineError, LeaseExpired) as error:
                # The page is not checkpointed and is done again; all of it may be repeated.
                failures += 1
                log.warning("page is repeated", table=table.name, error=str(error))
                await self._effort.back_off(failures)
            else:
                failures = 0

    async def _page(
        self, table: MigratedTable, order: BackfillOrder, number: int, owned: _Owned
    ) -> None:
        def ask() -> BackfillOrder:
            if not self._is_wanted(table, order):
                raise NotNow(f"the copy of {table.name} is paused or split anew")
            phase = self._epochs.current(table.name).phase
            if phase is not Phase.MIRROR_OLD:
                raise NotNow(f"table {table.name} is in {phase.value}")
            return self._orders[table.name]

        begun = self._clock.monotonic_seconds()
        items, following = await self._pages.scan(table, number, owned.segment, ask())
        # If it breaks off it is copied in part, and what is copied will only be looked at: in the
        # end a page is done, however often it breaks off.
        looks, owned.looks = owned.looks, True
        counts = await self._pages.copy(table, items, ask, looks=looks)
        before = owned.segment
        await owned.write(
            checkpoint=following,
            done=following is None,
            scanned=before.scanned + len(items),
            copied=before.copied + counts[Copied.COPIED],
            present=before.present + counts[Copied.PRESENT],
            left=before.left + counts[Copied.LEFT],
            bytes=before.bytes + sum(size_bytes(item) for item in items),
            busy_ms=before.busy_ms + int((self._clock.monotonic_seconds() - begun) * 1000),
            finished_ms=0 if following else self._clock.wall_ms(),
        )
        owned.looks = 2 * counts[Copied.PRESENT] > len(items)

    def _is_wanted(self, table: MigratedTable, begun: BackfillOrder) -> bool:
        """Whether the scan that an order began is still what is wanted."""
        order = self._orders.get(table.name)
        return order is not None and order.scan == begun.scan and order.wanted == RUN

    def _may_begin(self, table: MigratedTable, order: BackfillOrder) -> bool:
        if not self._is_wanted(table, order):
            return False
        try:
            return self._epochs.current(table.name).phase is Phase.MIRROR_OLD
        except LeaseExpired:
            return False

    # -- progress -----------------------------------------------------------------------------

    def _show(
        self, table: MigratedTable, order: BackfillOrder, segments: Iterable[Segment]
    ) -> None:
        name, seen = table.name, progress_of(order, segments)
        for result in ("scanned", "copied", "present", "left"):
            amount = float(getattr(seen, result))
            self._metrics.set(metric_names.BACKFILL_ITEMS, name, result, value=amount)
        eta = -1.0 if seen.eta_seconds is None else seen.eta_seconds
        self._metrics.set(metric_names.BACKFILL_BYTES, name, value=float(seen.bytes))
        self._metrics.set(metric_names.BACKFILL_SHARE, name, value=seen.share)
        self._metrics.set(metric_names.BACKFILL_ETA_SECONDS, name, value=eta)
