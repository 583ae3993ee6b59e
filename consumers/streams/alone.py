"""A DynamoDB Streams consumer by itself: leases, lineage, checkpoints, and a handler of yours.

Any number of processes share the shards of the named tables. Every record comes to the handler at
least once, those of one item in order; the checkpoint follows what the handler has returned from.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random

import structlog

from consumers.changes import Change
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.prefix import Mark
from consumers.streams.coordinator import Streams
from consumers.streams.shards import StreamName
from dualwrite.core.errors import DualwriteError
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Dynamo, Metrics, Records
from dualwrite.core.records import MEMBER, Member, Role, dump

LEASE_SECONDS = 3.0

Handle = Callable[[str, Sequence[Change]], Awaitable[None]]
"""Given a table's name and up to 100 records of one shard, in order. Records are applied once it
returns; if it raises, they come again after a while, and none behind them does."""

log = structlog.get_logger()


class StreamConsumer:
    """One process's share of the streams of some tables."""

    def __init__(
        self,
        dynamo: Dynamo,
        records: Records,
        tables: Sequence[str],
        handle: Handle,
        clock: Clock,
        metrics: Metrics,
        *,
        process_id: str,
        pace: Pace | None = None,
    ) -> None:
        """``records`` holds leases and members, and is shared by all processes of one application;
        ``process_id`` is new at each start."""
        pace = pace or Pace()
        self._records = records
        self._clock = clock
        self._pace = pace
        self._process_id = process_id
        self._effort = Effort(clock, Random(process_id), pace)
        self._streams = Streams(
            dynamo, records, {StreamName(table, Side.OLD): table for table in tables},
            {table: _Taker(table, handle, self._effort) for table in tables},
            Consumers(clock, process_id), _nothing, clock, metrics, self._effort, pace,
        )  # fmt: skip

    async def run(self) -> None:
        """Consume until cancelled, then release the leases."""
        beating = asyncio.create_task(self._beat())
        failures = 0
        try:
            while True:
                try:
                    await self._streams.step()
                except DualwriteError as error:
                    failures += 1
                    log.warning("step failed", error=str(error))
                    await self._effort.back_off(failures)
                else:
                    failures = 0
                await self._clock.sleep(self._pace.control_seconds)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await self._streams.stop()
            with suppress(DualwriteError):
                await self._records.delete(MEMBER, self._process_id, expected=None)

    async def _beat(self) -> None:
        """Tell the others that this process lives."""
        counter = 0
        while True:
            counter += 1
            member = Member(Role.CONSUMER, 0, counter, LEASE_SECONDS)
            with suppress(DualwriteError):
                await self._records.write(MEMBER, self._process_id, dump(member), expected=None)
            await self._clock.sleep(LEASE_SECONDS / 3)


class _Taker:
    """Hands records to the handler until it has taken them."""

    def __init__(self, table: str, handle: Handle, effort: Effort) -> None:
        self.lagging: set[Side] = set()
        self._table = table
        self._handle = handle
        self._effort = effort

    async def take(self, side: Side, records: Sequence[tuple[Change, Mark]]) -> None:
        changes = [change for change, _ in records]
        for attempt in count(1):
            try:
                await self._handle(self._table, changes)
                break
            except Exception as error:
                # Whatever a stranger's code raises, its records are not applied.
                log.warning("records come again", table=self._table, error=type(error).__name__)
                await self._effort.back_off(attempt)
        for _, mark in records:
            mark.done = True


async def _nothing() -> None:
    return
