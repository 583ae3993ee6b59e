"""The worker of the repair queue: tries what is due, forgets what is cured, backs off otherwise."""

from collections import defaultdict

import structlog

from consumers.effort import Effort
from consumers.hands import parcel_of
from consumers.keys import renamed
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Result, Work
from dualwrite.core import metric_names
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

BATCH_MAX = 400
"""Repairs tried between two looks at the queue."""

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

    async def step(self) -> None:
        """Try what is due and falls to this consumer. Raises EngineError, LeaseExpired."""
        self._poison.asking()
        entries = await self._repairs.waiting()
        self._poison.refresh(entries)
        self._show(entries)
        now_ms = self._clock.wall_ms()
        due = [
            entry
            for entry in entries
            if not entry.repair.poison
            and self._is_due(entry.repair, now_ms)
            and entry.repair.table in self._migration.by_name
            and self._consumers.is_mine(entry.name)
        ]
        due.sort(key=lambda entry: entry.repair.next_ms)
        await self._effort.together(self._repair, due[:BATCH_MAX])

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
            await self._repairs.done(entry)
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

    def _show(self, entries: tuple[WaitingRepair, ...]) -> None:
        waiting: dict[tuple[str, bool], int] = defaultdict(int)
        oldest: dict[str, int] = {}
        for entry in entries:
            repair = entry.repair
            waiting[repair.table, repair.poison] += 1
            if not repair.poison:
                first_ms = oldest.get(repair.table, repair.first_ms)
                oldest[repair.table] = min(first_ms, repair.first_ms)
        now_ms = self._clock.wall_ms()
        for table in self._migration.by_name:
            for poison in (False, True):
                self._metrics.set(
                    metric_names.REPAIRS_WAITING,
                    table,
                    str(poison).lower(),
                    value=float(waiting[table, poison]),
                )
            age = (now_ms - oldest.get(table, now_ms)) / 1000
            self._metrics.set(metric_names.REPAIRS_AGE_SECONDS, table, value=max(0.0, age))
