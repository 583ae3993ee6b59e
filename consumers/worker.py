"""Works on dirty keys that the shared queue gives to this process."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count

import structlog

from consumers.effort import Effort
from consumers.hands import OwnHands, work_of
from consumers.pace import Pace
from consumers.reconcile import Work
from dualwrite.core import metric_names
from dualwrite.core.dirty_keys import DirtyKey
from dualwrite.core.errors import DualwriteError, EngineError
from dualwrite.core.items import key_from_token
from dualwrite.core.ports import Clock, Job, Lane, Metrics, WorkQueue
from dualwrite.core.spec import Migration

REST_SECONDS_MAX = 60.0
"""Each coming and going of a worker makes the others share the work out anew."""

log = structlog.get_logger()


class Worker:
    """Takes, reconciles, acknowledges; a job that cannot be understood is buried, and blocks
    nobody."""

    def __init__(
        self,
        queue: WorkQueue,
        migration: Migration,
        hands: OwnHands,
        clock: Clock,
        metrics: Metrics,
        effort: Effort,
        pace: Pace,
    ) -> None:
        self._queue = queue
        self._migration = migration
        self._hands = hands
        self._clock = clock
        self._metrics = metrics
        self._effort = effort
        self._pace = pace
        self._batches: set[asyncio.Task[None]] = set()
        self._resting_until = float("-inf")
        self._rests = 0

    async def run(self) -> None:
        """Work, for ever."""
        failures = 0
        try:
            while True:
                try:
                    taken = await self._turn()
                except EngineError as error:
                    failures += 1
                    log.warning("the work queue does not answer", error=str(error))
                    await self._effort.back_off(failures)
                else:
                    failures = 0
                    await self._clock.sleep(0 if taken else self._pace.apply_seconds)
        finally:
            for batch in self._batches:
                batch.cancel()
            await asyncio.gather(*self._batches, return_exceptions=True)

    async def _turn(self) -> int:
        if self._clock.monotonic_seconds() < self._resting_until:
            return 0
        free = self._pace.batches_in_flight_max - len(self._batches)
        jobs = await self._queue.take(Lane.DIRTY, self._pace.batch_keys if free > 0 else 0)
        if jobs:
            self._metrics.add(metric_names.QUEUE_JOBS, Lane.DIRTY.value, "taken", amount=len(jobs))
            batch = asyncio.create_task(self._batch(jobs))
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)
        return len(jobs)

    async def _batch(self, jobs: Sequence[Job]) -> None:
        """Work until it is done, or somebody else should: what is not acknowledged holds back
        those behind it."""
        begun = self._clock.monotonic_seconds()
        for attempt in count(1):
            try:
                for name, works in (await self._understood(jobs)).items():
                    await self._hands.settle(self._migration.by_name[name], works)
                await self._queue.ack(jobs)
            except Exception as error:
                # Also a mistake of ours: a job that is in nobody's hands holds its partition back.
                ours = not isinstance(error, DualwriteError)
                log.warning("jobs are done again", error=type(error).__name__, exc_info=ours)
                if self._clock.monotonic_seconds() - begun > self._pace.step_back_seconds:
                    await self._step_back()
                    return
                await self._effort.back_off(attempt)
            else:
                self._rests = 0
                amount = len(jobs)
                self._metrics.add(metric_names.QUEUE_JOBS, Lane.DIRTY.value, "done", amount=amount)
                return

    async def _step_back(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._resting_until:
            self._rests += 1
            first_seconds = self._pace.step_back_seconds
            seconds = self._effort.jittered(self._rests, first_seconds, REST_SECONDS_MAX)
            log.warning("jobs are left to others", seconds=seconds)
            self._resting_until = now + seconds
            with suppress(EngineError):
                await self._queue.step_back(Lane.DIRTY)

    async def _understood(self, jobs: Sequence[Job]) -> Mapping[str, list[Work]]:
        """The jobs' keys by table, each once; the newest that is known of a key counts."""
        found: dict[str, dict[DirtyKey, Work]] = defaultdict(dict)
        for job in jobs:
            try:
                name, work = work_of(job.parcel)
                table = self._migration.by_name[name]
                key_from_token(work.dirty.token, table.side(work.dirty.side).keys)
            except (KeyError, ValueError, TypeError):
                log.error("a job is no dirty key of this migration", lane=job.lane.value)
                await self._queue.bury(job.parcel, "no dirty key of this migration")
                self._metrics.add(metric_names.QUEUE_JOBS, job.lane.value, "buried")
                continue
            found[name][work.dirty] = work
        return {name: list(works.values()) for name, works in found.items()}
