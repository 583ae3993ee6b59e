"""The worker of the repair queue: tries what is due, forgets what is cured, backs off otherwise."""

from collections import Counter
from collections.abc import Sequence

import structlog

from consumers.effort import Effort
from consumers.hands import parcel_of
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Result, Work
from dualwrite.core import metric_names
from dualwrite.core.dirty_keys import renamed
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Kind, Side
from dualwrite.core.ports import (
    Clock,
    Lane,
    Metrics,
    Parcel,
    RepairStore,
    WaitingRepair,
    WorkQueue,
)
from dualwrite.core.records import Repair
from dualwrite.core.spec import Migration

log = structlog.get_logger()


class RepairWorker:
    """Each waiting repair falls to one of the live consumers; two trying one does no harm."""

    def __init__(
        self,
        repairs: RepairStore,
        migration: Migration,
        reconciler: Reconciler,
        poison: Poison,
        consumers: Consumers,
        clock: Clock,
        metrics: Metrics,
        effort: Effort,
        pace: Pace,
        queue: WorkQueue | None = None,
    ) -> None:
        """``queue`` takes a copy of what failed so often that somebody should look."""
        self._repairs = repairs
        self._migration = migration
        self._reconciler = reconciler
        self._poison = poison
        self._consumers = consumers
        self._clock = clock
        self._metrics = metrics
        self._effort = effort
        self._pace = pace
        self._queue = queue
        self._after = ""
        self._cured: set[str] = set()
        """Of the present page."""
        self._waiting: Counter[str] = Counter()
        self._oldest_ms: dict[str, int] = {}

    async def step(self) -> None:
        """A round through the queue: try what is due and falls to this consumer, page by page, so
        that the whole queue is read once for all that is due on it. Raises EngineError,
        LeaseExpired; then the next step goes on behind the page at which that happened."""
        while True:
            page = await self._repairs.waiting(self._after)
            if not self._after:
                self._waiting.clear()
                self._oldest_ms.clear()
            self._after = page.next
            self._cured = set()
            try:
                await self._effort.together(self._repair, self._due(page.entries))
            finally:
                self._count(page.entries)
                if not page.next:
                    self._show()
            if not page.next:
                return

    def _due(self, entries: Sequence[WaitingRepair]) -> list[WaitingRepair]:
        """The longest due first."""
        now_ms = self._clock.wall_ms()
        due = [
            entry
            for entry in entries
            if self._is_due(entry.repair, now_ms)
            and entry.repair.table in self._migration.by_name
            and self._consumers.is_mine(entry.name)
        ]
        return sorted(due, key=lambda entry: entry.repair.next_ms)

    def _is_due(self, repair: Repair, now_ms: int) -> bool:
        """Whether its time has come. One that is further away than any back-off was written down
        by a clock that is ahead of ours, and must not wait until ours gets there."""
        ahead_ms = repair.next_ms - now_ms
        return ahead_ms <= 0 or ahead_ms > self._pace.repair_back_off_seconds_max * 1000

    async def _repair(self, entry: WaitingRepair) -> None:
        repair = entry.repair
        table = self._migration.by_name[repair.table]
        side = Side.OLD if table.kind is Kind.IN_PLACE else Side(repair.side)
        dirty = renamed(table, side, repair.token)
        result = await self._reconciler.reconcile(table, Work(dirty))
        if result is not Result.FAILED:
            if repair.listed and result is not Result.LEFT:
                await self._poison.clear(table.name, dirty, ask=True)
            await self._repairs.done(entry)
            self._cured.add(entry.name)
            return
        delay = self._effort.jittered(
            repair.attempts,
            self._pace.repair_back_off_seconds,
            self._pace.repair_back_off_seconds_max,
        )
        attempts = repair.attempts + 1
        log.warning("repair failed", table=table.name, attempts=attempts)
        await self._repairs.retry_later(entry, delay)
        if self._queue is not None and attempts == self._pace.repair_attempts_told:
            reason = f"repair failed {attempts} times: {repair.reason}"
            await self._tell(self._queue, parcel_of(table.name, Work(dirty)), reason)

    async def _tell(self, queue: WorkQueue, parcel: Parcel, reason: str) -> None:
        """Leave a copy with the dead letters; where that fails the repair waits all the same."""
        try:
            await queue.bury(parcel, reason)
        except EngineError as error:
            log.warning("a repair is not with the dead letters", error=str(error))
        else:
            self._metrics.add(metric_names.QUEUE_JOBS, Lane.DEAD.value, "buried")

    def _count(self, entries: Sequence[WaitingRepair]) -> None:
        for entry in entries:
            if entry.name not in self._cured:
                table, first_ms = entry.repair.table, entry.repair.first_ms
                self._waiting[table] += 1
                self._oldest_ms[table] = min(first_ms, self._oldest_ms.get(table, first_ms))

    def _show(self) -> None:
        now_ms = self._clock.wall_ms()
        for table in self._migration.by_name:
            counts = (("false", self._waiting[table]), ("true", self._poison.count(table)))
            for poison, count in counts:
                self._metrics.set(metric_names.REPAIRS_WAITING, table, poison, value=count)
            age = (now_ms - self._oldest_ms.get(table, now_ms)) / 1000
            self._metrics.set(metric_names.REPAIRS_AGE_SECONDS, table, value=max(0.0, age))
