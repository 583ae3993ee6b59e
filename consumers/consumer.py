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
from consumers.hands import OwnHands, SharedHands
from consumers.members import Consumers
from consumers.mutations import Mutations, Teller
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler
from consumers.repairs import RepairWorker
from consumers.sources import sources_of
from consumers.streams.coordinator import Streams
from consumers.worker import Worker
from dualwrite.core.errors import DualwriteError
from dualwrite.core.ports import (
    Clock,
    Dynamo,
    Epochs,
    Metrics,
    MutationFeed,
    Parents,
    Records,
    RepairStore,
    WorkQueue,
)
from dualwrite.core.spec import Migration

log = structlog.get_logger()


class Consumer:
    """Keeps followers equal to leaders, together with the other consumers.

    ``process_id`` must be the name under which this process is a member; it is new at each start.
    ``queue`` shares dirty keys and segments with the other consumers; without one this process
    reconciles what it reads. ``feed`` is told what ``mutations`` makes of the records.
    ``probe_table``: as of ``Backfill``.
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
        queue: WorkQueue | None = None,
        feed: MutationFeed | None = None,
        mutations: Mutations | None = None,
        probe_table: str = "",
        pace: Pace | None = None,
        random: Random | None = None,
    ) -> None:
        pace = pace or Pace()
        self._clock = clock
        self._pace = pace
        self._effort = effort = Effort(clock, random or Random(process_id), pace)
        consumers = Consumers(clock, process_id)
        self._poison = poison = Poison(repairs)
        bypasses = Bypasses(records, clock, metrics)
        reconciler = Reconciler(dynamo, records, epochs, parents, poison, metrics, effort)
        own = OwnHands(reconciler, repairs)
        hands = own if queue is None else SharedHands(queue, clock, pace)
        self._queue = queue
        self._worker = (
            None if queue is None else Worker(queue, migration, own, clock, metrics, effort, pace)
        )
        self._feed = feed
        self._teller = (
            None if feed is None else Teller(feed, mutations or Mutations(), clock, effort, pace)
        )
        self._appliers = {
            table.name: Applier(
                table,
                epochs,
                parents,
                hands,
                poison,
                bypasses,
                clock,
                metrics,
                pace,
                self._teller,
            )
            for table in migration.tables
        }
        self._streams = Streams(
            dynamo, records, sources_of(migration), self._appliers, consumers, bypasses.flush,
            clock, metrics, effort, pace,
        )  # fmt: skip
        copier = Copier(dynamo, epochs, parents, repairs, poison, reconciler, effort)
        self._backfill = Backfill(
            dynamo, records, migration, epochs, copier, bypasses, consumers, clock, metrics,
            effort, pace, queue, probe_table,
        )  # fmt: skip
        self._repairs = RepairWorker(
            repairs, migration, reconciler, poison, consumers, clock, metrics, effort, pace, queue
        )
        self._stopped = False
        self._stopping = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Consume until ``stop``; trouble with the engine only delays it."""
        steps: list[Callable[[], Awaitable[None]]] = [
            self._streams.step,
            self._backfill.step,
            self._repairs.step,
            self._poison.look,
        ]
        works = [self._keep_stepping(step) for step in steps]
        works += [applier.run() for applier in self._appliers.values()]
        if self._worker is not None:
            works.append(self._worker.run())
        if self._teller is not None:
            works.append(self._teller.run())
        self._tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.gather(*self._tasks)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop reading and give the leases back, with what is applied; safe to repeat. Who asks
        while it is under way, as ``run`` does itself, waits for it."""
        self._stopped = True
        async with self._stopping:
            await self._end()
            await self._backfill.stop()
            await self._streams.stop()
            if self._queue is not None:
                await self._queue.close()
            if self._feed is not None:
                await self._feed.close()

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
