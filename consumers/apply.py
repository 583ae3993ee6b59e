"""Applies stream records of one table: proves keys clean, or has them reconciled."""

import asyncio
from collections.abc import Sequence
from itertools import islice

import structlog

from consumers.bypass import Bypasses
from consumers.changes import Change
from consumers.dirty import DirtyKeys, Entry
from consumers.hands import Hands
from consumers.mutations import Teller
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.prefix import Mark
from consumers.reconcile import Work
from dualwrite.core import metric_names
from dualwrite.core.compare import compare_in_place
from dualwrite.core.dirty_keys import dirty_key
from dualwrite.core.errors import DualwriteError, EngineError, LeaseExpired
from dualwrite.core.items import stamp_of
from dualwrite.core.phases import Kind, Mode, Phase, Side, is_followed
from dualwrite.core.ports import Clock, Epochs, Metrics, Parents
from dualwrite.core.spec import MigratedTable
from dualwrite.lookups import answered

log = structlog.get_logger()


class Applier:
    """One table's records, of both sides. A record's mark is done once its key is known to be
    clean, or stands in the repair queue."""

    def __init__(
        self,
        table: MigratedTable,
        epochs: Epochs,
        parents: Parents,
        hands: Hands,
        poison: Poison,
        bypasses: Bypasses,
        clock: Clock,
        metrics: Metrics,
        pace: Pace,
        teller: Teller | None = None,
    ) -> None:
        self._teller = teller
        self.table = table
        self.keys = DirtyKeys(table, pace)
        self._epochs = epochs
        self._parents = parents
        self._hands = hands
        self._poison = poison
        self._bypasses = bypasses
        self._clock = clock
        self._metrics = metrics
        self._pace = pace
        self._batches: set[asyncio.Task[None]] = set()

    @property
    def lagging(self) -> set[Side]:
        """Sides whose stream this process reads and is behind on."""
        return self.keys.lagging

    # -- in -----------------------------------------------------------------------------------

    async def take(self, side: Side, records: Sequence[tuple[Change, Mark]]) -> None:
        """Note fetched records. Raises LeaseExpired before it has noted any."""
        state = self._epochs.current(self.table.name)
        phase = state.phase
        if self._teller is not None and phase.mode is not Mode.SINGLE:
            for change, mark in records:
                self._teller.note(self.table, side, state, change, mark)
        if not is_followed(self.table.kind, phase):
            for _, mark in records:
                mark.done = True
            self._count(side, "ignored", len(records))
        elif self.table.kind is Kind.IN_PLACE:
            await self._take_in_place(records)
        else:
            self._take_rekey(side, records, phase)

    def _take_rekey(self, side: Side, records: Sequence[tuple[Change, Mark]], phase: Phase) -> None:
        name = self.table.name
        leader = phase.leader
        now = self._clock.monotonic_seconds()
        proven = 0
        for change, mark in records:
            dirty = dirty_key(self.table, change.keys, side)
            bypass = (
                side is leader
                and self._bypasses.counts(name, change.created_ms)
                and change.is_bypass
            )
            if bypass:
                self._bypasses.note(name)
            provable = not bypass and not self._poison.lists(name, dirty)
            proven += self.keys.offer(
                leader, side, change, mark, dirty, now=now, provable=provable, bypass=bypass
            )
        self._count(side, "read", len(records))
        self._count(side, "proven", proven)
        self._count(side, "expired", sum(change.by_ttl for change, _ in records))

    async def _take_in_place(self, records: Sequence[tuple[Change, Mark]]) -> None:
        now = self._clock.monotonic_seconds()
        proven = 0
        for change, mark in records:
            dirty = dirty_key(self.table, change.keys, Side.OLD)
            if not self._poison.lists(self.table.name, dirty) and await self._holds(change):
                mark.done = True
                proven += 1
                continue
            self.keys.offer(Side.OLD, Side.OLD, change, mark, dirty, now=now, provable=False)
            self.keys.hurry(dirty)
        self._count(Side.OLD, "read", len(records))
        self._count(Side.OLD, "proven", proven)

    async def _holds(self, change: Change) -> bool:
        """Whether an in-place item holds its derived attributes after this change."""
        try:
            seen = await answered(self._parents, compare_in_place, self.table, change.new)
        except (EngineError, LeaseExpired):
            return False
        return seen.is_clean

    def _count(self, side: Side, result: str, amount: int) -> None:
        if amount:
            self._metrics.add(
                metric_names.RECORDS, self.table.name, side.value, result, amount=amount
            )

    # -- out ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Reconcile what is due, for ever."""
        try:
            while True:
                self._start_batches()
                await self._clock.sleep(self._pace.apply_seconds)
        finally:
            for batch in self._batches:
                batch.cancel()
            await asyncio.gather(*self._batches, return_exceptions=True)

    def _start_batches(self) -> None:
        while len(self._batches) < self._pace.batches_in_flight_max:
            due = self.keys.due(self._clock.monotonic_seconds())
            entries = list(islice(due, self._pace.batch_keys))
            if not entries:
                return
            batch = asyncio.create_task(self._batch(entries))
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)

    async def _batch(self, entries: Sequence[Entry]) -> None:
        """Reconcile a batch. Whatever happens, each entry is settled or given back."""
        left = list(entries)
        try:
            works = [Work(entry.dirty, self._follower_stamp(entry)) for entry in entries]
            await self._hands.settle(self.table, works)
            for entry in entries:
                self.keys.settle(entry)
            left = []
        except DualwriteError as error:
            log.warning("keys stay dirty", table=self.table.name, error=type(error).__name__)
            # A moment, lest an engine that is away be asked without pause.
            await self._clock.sleep(self._pace.match_seconds)
        finally:
            now = self._clock.monotonic_seconds()
            for entry in left:
                self.keys.give_back(entry, now)

    def _follower_stamp(self, entry: Entry) -> str | None:
        try:
            leader = self._epochs.current(self.table.name).phase.leader
        except LeaseExpired:
            return None
        change = entry.latest.get(leader.other)
        return None if change is None else stamp_of(change.new)
