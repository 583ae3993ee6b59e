"""Three small tables on a real engine, with streams, and consumers that read them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.credentials import ReadOnlyCredentials

from consumers.consumer import Consumer
from consumers.pace import Pace
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.adapters.wire import WireClient
from dualwrite.core.compare import Comparison, Verdict, compare
from dualwrite.core.errors import Unreachable
from dualwrite.core.items import Item, KeyAttribute, KeySchema, key_of, key_token
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.records import (
    BACKFILL,
    POISON,
    REPAIR,
    SEGMENT,
    STREAM,
    BackfillOrder,
    Repair,
    Segment,
    StreamProgress,
    dump,
    load,
)
from dualwrite.core.spec import (
    Derivation,
    LookupHow,
    MigratedTable,
    Migration,
    ParentLookup,
    TableSide,
    Template,
    ValueMap,
)
from dualwrite.core.stamps import HybridClock
from dualwrite.core.transform import Row, row_from_client
from tests.fakes.epochs import SetEpochs
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords

WAIT_SECONDS_MAX = 90.0

TENANTS = {"acme-prod": ("aws-1", "acme"), "bolt-prod": ("aws-1", "bolt")}
QUICK = Pace(
    renew_seconds=0.1,
    silence_seconds=0.6,
    discover_seconds=1.0,
    control_seconds=0.05,
    poll_busy_seconds=0.02,
    poll_idle_seconds=0.1,
    match_seconds=0.2,
    match_lagging_seconds=0.4,
    barrier_margin_seconds=0.05,
    apply_seconds=0.01,
    scan_page_items=20,
    repair_back_off_seconds=0.05,
    back_off_seconds=0.01,
)
"""The same protocol, in less time."""


def a_migration(prefix: str) -> Migration:
    """A table whose key changes, one whose key stays, and one that is changed in place."""

    def side(name: str, hash_name: str, range_name: str) -> TableSide:
        return TableSide(
            prefix + name, KeySchema(KeyAttribute(hash_name), KeyAttribute(range_name))
        )

    mapping = ValueMap("tenants", ("endpoint_id", "part_id"), TENANTS)
    templates = (("partition_key", Template("{endpoint_id}#{part_id}")),)
    own = Derivation("endpoint_id", mapping, templates)
    parent = ParentLookup("tasks", LookupHow.KEY, (("list_id", "list_id"), ("task_id", "task_id")))
    return Migration(
        "test",
        "#",
        (
            MigratedTable(
                "notes", Kind.REKEY, side("notes", "endpoint_id", "note_id"),
                side("notes-v2", "partition_key", "note_id"), own,
            ),
            MigratedTable(
                "tasks", Kind.REKEY, side("tasks", "list_id", "task_id"),
                side("tasks-v2", "list_id", "task_id"), own,
            ),
            MigratedTable(
                "steps", Kind.IN_PLACE, side("steps", "task_id", "step_id"),
                side("steps", "task_id", "step_id"),
                Derivation(None, mapping, templates, (parent,)),
            ),
        ),
        prefix + "control",
    )  # fmt: skip


class CountingDynamo:
    """Counts calls, and lets a test fail or delay them."""

    def __init__(self, inner: WireClient) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, None]] | None = None

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls[operation] += 1
        if self.before is not None:
            await self.before(operation, request)
        return await self._inner.call(operation, request)


class Life:
    """A process's: once it is over, nothing it sends arrives and it hears of nothing."""

    def __init__(self) -> None:
        self.over = False

    def check(self) -> None:
        if self.over:
            raise Unreachable("this process was killed")


class Mortal:
    """The control table as a process sees it that may be killed."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        self._life.check()
        return getattr(self._inner, name)


@dataclass
class World:
    """One migration, its engine, and the hands of the applications that use it."""

    endpoint: str
    boto: Any
    prefix: str
    phase: Phase = Phase.MIRROR_OLD
    pace: Pace = QUICK
    records: Any = field(default_factory=MemoryRecords)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        self.migration = a_migration(self.prefix)
        self.notes, self.tasks, self.steps = self.migration.tables
        self.clock = SystemClock()
        self.epochs = SetEpochs(self.phase)
        self.stamps = HybridClock("writer-1", self.clock.wall_ms)
        self.repairs = Repairs(self.records, self.clock)
        for name, (table, side) in self.migration.by_physical.items():
            keys = table.side(side).keys
            self.boto.create_table(
                TableName=name,
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(keys.names, ("HASH", "RANGE"), strict=True)
                ],
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": "S"} for key in keys.names
                ],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={
                    "StreamEnabled": True,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            )

    # -- consumers ----------------------------------------------------------------------------

    def wire(self) -> CountingDynamo:
        return CountingDynamo(
            WireClient(
                self.endpoint,
                region="us-east-1",
                credentials=lambda: ReadOnlyCredentials("test", "test", None),
                clock=self.clock,
            )
        )

    def consumer(
        self,
        name: str = "consumer-1",
        dynamo: CountingDynamo | None = None,
        records: Any = None,
        **more: Any,
    ) -> Consumer:
        wire = dynamo or self.wire()
        return Consumer(
            wire,
            records or self.records,
            self.migration,
            self.epochs,
            ParentRows(wire, self.migration, self.epochs, self.clock),
            Repairs(records or self.records, self.clock),
            self.clock,
            self.metrics,
            process_id=name,
            pace=self.pace,
            **more,
        )

    @asynccontextmanager
    async def consuming(self, *consumers: Consumer) -> AsyncIterator[None]:
        """Let consumers run beside the test, and end them in order."""
        running = [asyncio.create_task(one.run()) for one in consumers or (self.consumer(),)]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; it is asked in a thread, for it may read tables."""
        deadline = self.clock.monotonic_seconds() + WAIT_SECONDS_MAX
        while not await asyncio.to_thread(condition):
            assert self.clock.monotonic_seconds() < deadline, "it did not come true in time"
            await asyncio.sleep(0.05)

    async def drained(self) -> None:
        """Wait until everything that stands on the streams now is applied on both sides."""
        begun = self.clock.wall_ms()

        def applied() -> bool:
            seen = [self.stream(table, side) for table in (self.notes, self.tasks) for side in Side]
            seen.append(self.stream(self.steps, Side.OLD))
            return all(one is not None and one.tip_ms > begun for one in seen)

        await self.until(applied)

    # -- what the control table says ----------------------------------------------------------

    def stream(self, table: MigratedTable, side: Side) -> StreamProgress | None:
        found = {r.name: r for r in self.records.seen(STREAM)}.get(f"{table.name}/{side.value}")
        return None if found is None else load(StreamProgress, found.value)

    def listed(self) -> list[Repair]:
        """What waits for a person."""
        return [load(Repair, record.value) for record in self.records.seen(POISON)]

    def waiting(self) -> list[Repair]:
        """What waits for its next try."""
        return [load(Repair, record.value) for record in self.records.seen(REPAIR)]

    def order_backfill(
        self, table: MigratedTable, *, run: str = "run-1", wanted: str = "run", segments: int = 2,
        reads: float = 0.0, writes: float = 0.0, asked_ms: int | None = None, together: int = 1,
        split: int = 0,
    ) -> None:  # fmt: skip
        order = BackfillOrder(
            run,
            wanted,
            segments,
            self.clock.wall_ms() if asked_ms is None else asked_ms,
            read_units_per_second_max=reads,
            write_units_per_second_max=writes,
            items_together=together,
            split=split,
        )
        self.records.put(BACKFILL, table.name, dump(order))

    def segments(self, table: MigratedTable, run: str = "run-1") -> list[Segment]:
        return [load(Segment, r.value) for r in self.records.seen(SEGMENT, f"{table.name}/{run}/")]

    def backfilled(self, table: MigratedTable, count: int = 2, run: str = "run-1") -> bool:
        seen = self.segments(table, run)
        return len(seen) == count and all(one.done for one in seen)

    def metric(self, *key: str) -> float:
        return self.metrics.values.get(key, 0.0)

    # -- the tables ---------------------------------------------------------------------------

    def put(self, table: MigratedTable, side: Side, item: Item) -> None:
        self.boto.put_item(TableName=table.side(side).name, Item=item)

    def delete(self, table: MigratedTable, side: Side, item: Item) -> None:
        place = table.side(side)
        key = key_of(item, place.keys)
        self.boto.delete_item(TableName=place.name, Key=key)

    def row(self, table: MigratedTable, item: Item) -> Row:
        """An old-dialect item as a proxy stores it."""
        found = row_from_client(table, item, Side.OLD)
        assert isinstance(found, Row)
        return found.stamped(self.stamps.next(1))

    def mirrored(self, table: MigratedTable, item: Item, *sides: Side) -> Row:
        """A put through the proxy: the leader's and the follower's write, or only one of them."""
        row = self.row(table, item)
        for side in sides or tuple(Side):
            self.put(table, side, row.stored(side))
        return row

    def items(self, table: MigratedTable, side: Side) -> dict[str, Item]:
        return items_of(self.boto, table, side)

    def item(self, table: MigratedTable, side: Side, like: Item) -> Item | None:
        place = table.side(side)
        key = key_of(like, place.keys)
        found = self.boto.get_item(TableName=place.name, Key=key, ConsistentRead=True).get("Item")
        return None if found is None else dict(found)

    def equal(self, table: MigratedTable, leader: Side = Side.OLD) -> bool:
        """Whether the follower is T of the leader exactly: nothing missing, extra, different."""
        return are_equal(self.boto, table, leader)

    def set_phase(self, table: MigratedTable, phase: Phase, *, epoch: int = 2) -> None:
        lead = epoch if phase.leader is Side.NEW else 0
        self.epochs.states[table.name] = TableState(table.name, epoch, phase, lead_epoch=lead)


def items_of(boto: Any, table: MigratedTable, side: Side) -> dict[str, Item]:
    """All that one side holds, by key."""
    place = table.side(side)
    pages = boto.get_paginator("scan").paginate(TableName=place.name, ConsistentRead=True)
    return {key_token(item, place.keys): item for page in pages for item in page["Items"]}


def are_equal(boto: Any, table: MigratedTable, leader: Side = Side.OLD) -> bool:
    """Whether the follower is T of the leader exactly: nothing missing, extra, different."""
    theirs = items_of(boto, table, leader.other)
    other = table.side(leader.other).keys
    for item in items_of(boto, table, leader).values():
        seen = compare(table, leader, item, None)
        assert isinstance(seen, Comparison)
        if seen.wanted is None:
            continue
        found = theirs.pop(key_token(seen.wanted, other), None)
        again = compare(table, leader, item, found)
        assert isinstance(again, Comparison)
        if again.verdict is not Verdict.MATCH or again.annotation is not None:
            return False
    return not theirs


def note(number: int, tenant: str = "acme-prod", **more: str) -> Item:
    """An old-dialect note."""
    extra: Item = {name: {"S": value} for name, value in more.items()}
    return {"endpoint_id": {"S": tenant}, "note_id": {"S": f"n{number:05d}"}} | extra


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)
