"""One consumer process: streams, backfill and repairs, composed."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import structlog

from consumers.apply import Applier
from consumers.backfill import Backfill
from consumers.bypass import Bypasses
from consumers.copy import Copier
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler
from consumers.repairs import RepairWorker
from consumers.streams.coordinator import Streams
from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import (
    Clock,
    Dynamo,
    Epochs,
    Metrics,
    Parents,
    Records,
    RepairStore,
)
from dualwrite.core.spec import Migration

log = structlog.get_logger()


class Consumer:
    """Keeps followers equal to leaders, together with the other consumers.

    ``process_id`` must be the name under which this process is a member; it is new at each start.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        migration: Migration,
        epochs: Epochs,
        parents: Parents,
        repairs: RepairStore,
        clock: Clock,
        metrics: Metrics,
        *,
        process_id: str,
        pace: Pace | None = None,
        random: Random | None = None,
    ) -> None:
        pace = pace or Pace()
        self._clock = clock
        self._pace = pace
        self._effort = effort = Effort(clock, random or Random(process_id), pace)
        consumers = Consumers(clock, process_id)
        poison = Poison(repairs)
        bypasses = Bypasses(records, clock, metrics)
        reconciler = Reconciler(dynamo, records, epochs, parents, poison, metrics, effort)
        self._appliers = {
            table.name: Applier(
                table, epochs, parents, repairs, reconciler, poison, bypasses, clock, metrics, pace
            )
            for table in migration.tables
        }
        self._streams = Streams(
            dynamo, records, migration, self._appliers, consumers, bypasses.flush, clock, metrics,
            effort, pace,
        )  # fmt: skip
        copier = Copier(dynamo, epochs, parents, repairs, poison, reconciler, effort)
        self._backfill = Backfill(
            dynamo, records, migration, epochs, copier, bypasses, consumers, clock, metrics,
            effort, pace,
        )  # fmt: skip
        self._repairs = RepairWorker(
            repairs, migration, reconciler, poison, consumers, clock, metrics, effort, pace
        )
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Consume until ``stop``; trouble with the engine only delays it."""
        steps: list[Callable[[], Awaitable[None]]] = [
            self._streams.step,
            self._backfill.step,
            self._repairs.step,
        ]
        works = [self._keep_stepping(step) for step in steps]
        works += [applier.run() for applier in self._appliers.values()]
        self._tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop reading and give the leases back, with what is applied; safe to repeat."""
        self._stopped = True
        await self._end()
        await self._backfill.stop()
        await self._streams.stop()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_stepping(self, step: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await step()
            except DualwriteError as error:
                failures += 1
                log.warning("step failed", step=step.__qualname__, error=str(error))
                await self._effort.back_off(failures)
            else:
                failures = 0
            await self._clock.sleep(self._pace.control_seconds)
