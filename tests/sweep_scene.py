"""Migrated tables on a real engine, and a sweeper over them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.record_queue import RecordQueue
from dualwrite.core.items import Item, key_of
from dualwrite.core.phases import Side
from dualwrite.core.ports import WorkQueue
from dualwrite.core.records import (
    SWEEP,
    SWEPT,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from dualwrite.core.spec import MigratedTable
from tests.fakes.boto_dynamo import BotoDynamo
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.verifying import (
    HeldStates,
    ListedParents,
    ListedRepairs,
    migration,
    row,
    stamp,
    text,
)
from verifier.parts import PartWorker
from verifier.sweep import Sweeper

WAIT_SECONDS_MAX = 60.0
HASTE = 10
"""How many times faster the sweeper's time runs here."""


class HastyClock(SystemClock):
    """The machine's clock, faster: a sweep's pauses are for a world that takes its time."""

    def monotonic_seconds(self) -> float:
        return super().monotonic_seconds() * HASTE

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / HASTE)


class Meddling:
    """The ``Dynamo`` port with a hook before each call: it may write, or fail the call."""

    def __init__(self, inner: BotoDynamo) -> None:
        self._inner = inner
        self.before: Callable[[str, Mapping[str, Any]], None] = lambda operation, request: None

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.before(operation, request)
        return await self._inner.call(operation, request)


@dataclass
class Scene:
    """Three migrated tables on the engine, and a sweeper over them."""

    boto: Any
    prefix: str
    records: MemoryRecords = field(default_factory=MemoryRecords)
    repairs: ListedRepairs = field(default_factory=ListedRepairs)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    parents: ListedParents = field(default_factory=ListedParents)

    def __post_init__(self) -> None:
        self.migration = migration(self.prefix)
        self.boards, self.cards, self.votes = self.migration.tables
        self.epochs = HeldStates(self.migration)
        self.dynamo = Meddling(BotoDynamo(self.boto))
        for physical, (table, side) in self.migration.by_physical.items():
            self._create(physical, table, side)

    def _create(self, physical: str, table: MigratedTable, side: Side) -> None:
        names = table.side(side).keys.names
        self.boto.create_table(
            TableName=physical,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}
                for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            BillingMode="PAY_PER_REQUEST",
        )

    def put(self, table: MigratedTable, side: Side, item: Item) -> None:
        self.boto.put_item(TableName=table.side(side).name, Item=item)

    def put_both(self, table: MigratedTable, item: Item, stamped: str = stamp(1)) -> None:
        """A row as it stands once it is copied."""
        made = row(table, item, stamped)
        for side in (Side.OLD, Side.NEW):
            self.put(table, side, made.stored(side))

    def drop(self, table: MigratedTable, side: Side, item: Item) -> None:
        schema = table.side(side).keys
        self.boto.delete_item(TableName=table.side(side).name, Key=key_of(item, schema))

    def order(self, table: MigratedTable, run: str = "run-1") -> None:
        self.records.put(SWEEP, table.name, dump(SweepOrder(run, 0)))

    def result(self, table: MigratedTable) -> SweepResult | None:
        found = self.records.seen(SWEPT, table.name)
        return load(SweepResult, found[0].value) if found else None

    def sweeper(self, process_id: str = "sweeper-1", queue: WorkQueue | None = None) -> Sweeper:
        return Sweeper(
            self.dynamo,
            self.records,
            self.migration,
            self.epochs,
            self.parents,
            self.repairs,
            HastyClock(),
            self.metrics,
            process_id=process_id,
            queue=queue,
        )

    async def until_done(self, table: MigratedTable, run: str = "run-1") -> SweepResult:
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                result = self.result(table)
                if result is not None and result.run == run and result.done:
                    return result
                await asyncio.sleep(0.02)

    def sweep(self, table: MigratedTable, run: str = "run-1") -> SweepResult:
        """Order one sweep and carry it out."""
        return self._carried_out(table, run, self.sweeper())

    def sweep_in_hands(self, table: MigratedTable, run: str = "run-1") -> SweepResult:
        """The same, shared out to two workers over a queue."""
        clock = HastyClock()
        workers = [
            PartWorker(
                self.dynamo, self.records, RecordQueue(self.records, clock, name), self.migration,
                self.epochs, self.parents, self.repairs, clock, process_id=name,
            )
            for name in ("one", "two")
        ]  # fmt: skip
        sweeper = self.sweeper(queue=RecordQueue(self.records, clock, "sweeper-1"))
        return self._carried_out(table, run, sweeper, *workers)

    def _carried_out(
        self, table: MigratedTable, run: str, sweeper: Sweeper, *workers: PartWorker
    ) -> SweepResult:
        self.order(table, run)

        async def go() -> SweepResult:
            serving = asyncio.create_task(sweeper.run())
            working = [asyncio.create_task(worker.run()) for worker in workers]
            try:
                return await self.until_done(table, run)
            finally:
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)
                await sweeper.stop()
                await serving

        return asyncio.run(go())


def board(number: int, tenant: str = "acme-prod", **more: str) -> Item:
    return text(endpoint_id=tenant, board_id=f"b{number}", title="t", **more)


def fill(scene: Scene, count: int = 5) -> None:
    for number in range(count):
        scene.put_both(scene.boards, board(number))
