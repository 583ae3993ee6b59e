"""One table under migration on a real engine, and what is needed to run consumers on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from consumers.consumer import Consumer
from consumers.pace import Pace
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.adapters.wire import WireClient
from dualwrite.core.items import Item, KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.spec import (
    Derivation,
    MigratedTable,
    Migration,
    TableSide,
    Template,
    ValueMap,
)
from dualwrite.core.stamps import HybridClock
from dualwrite.core.transform import Row, row_from_client

CONNECTIONS = 64
PADDING = "x" * 700
"""Items of about 0.9 KB, as the application's larger rows are."""
TENANTS = {f"tenant-{n}-prod": ("aws-1", f"tenant-{n}") for n in range(20)}


class Standing:
    """The ``Epochs`` of a table whose state does not change."""

    def enter(self, table: str) -> TableState:
        return self.current(table)

    def leave(self, state: TableState) -> None:
        return

    def current(self, table: str) -> TableState:
        return TableState(table, 2, Phase.MIRROR_OLD)


@dataclass
class Counts:
    """The ``Metrics`` that a measurement reads."""

    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        key = (name, *labels)
        self.values[key] = self.values.get(key, 0.0) + amount

    def set(self, name: str, *labels: str, value: float) -> None:
        self.values[name, *labels] = value

    def observe(self, name: str, *labels: str, value: float) -> None:
        return

    def total(self, name: str, *labels: str) -> float:
        """Over all label sets that end so."""
        size = len(labels)
        return sum(
            value
            for key, value in self.values.items()
            if key[0] == name and key[len(key) - size :] == labels
        )


def migration_of(name: str) -> Migration:
    """A table whose hash key changes."""
    old = KeySchema(KeyAttribute("endpoint_id"), KeyAttribute("row_id"))
    new = KeySchema(KeyAttribute("partition_key"), KeyAttribute("row_id"))
    mapping = ValueMap("tenants", ("endpoint_id", "part_id"), TENANTS)
    derivation = Derivation(
        "endpoint_id", mapping, (("partition_key", Template("{endpoint_id}#{part_id}")),)
    )
    table = MigratedTable(
        name, Kind.REKEY, TableSide(name, old), TableSide(f"{name}-v2", new), derivation
    )
    return Migration("bench", "#", (table,), f"{name}-control")


def old_item(number: int) -> Item:
    """An item as the application wrote it."""
    return {
        "endpoint_id": {"S": f"tenant-{number % len(TENANTS)}-prod"},
        "row_id": {"S": f"row-{number:08d}"},
        "count": {"N": str(number)},
        "text": {"S": PADDING},
        "labels": {"L": [{"S": "a"}, {"S": "b"}]},
    }


class Scene:
    """Fresh tables under a name of their own."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.migration = migration_of(name)
        [self.table] = self.migration.tables
        self.clock = SystemClock()
        self.epochs = Standing()
        self.counts = Counts()
        self.stamps = HybridClock("bench-00", self.clock.wall_ms)
        self.boto: Any = boto3.client(
            "dynamodb",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(max_pool_connections=CONNECTIONS),
        )
        for side in Side:
            place = self.table.side(side)
            self.boto.create_table(
                TableName=place.name,
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(place.keys.names, ("HASH", "RANGE"), strict=True)
                ],
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": "S"} for key in place.keys.names
                ],
                BillingMode="PAY_PER_REQUEST",
            )

    def open_streams(self) -> None:
        """From now on both tables tell of what is written; the past has no records."""
        for side in Side:
            self.boto.update_table(
                TableName=self.table.side(side).name,
                StreamSpecification={
                    "StreamEnabled": True,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            )

    def fill(self, amount: int, *sides: Side, stamped: bool) -> None:
        """Write items, as the past did or as a proxy mirrors them."""
        for start in range(0, amount, 25):
            rows = [self._row(n) for n in range(start, min(amount, start + 25))]
            for side in sides:
                items = [
                    row.stored(side) if stamped else old_item(start + at)
                    for at, row in enumerate(rows)
                ]
                requests = [{"PutRequest": {"Item": item}} for item in items]
                while requests:
                    name = self.table.side(side).name
                    answer = self.boto.batch_write_item(RequestItems={name: requests})
                    requests = answer.get("UnprocessedItems", {}).get(name, [])

    def _row(self, number: int) -> Row:
        found = row_from_client(self.table, old_item(number), Side.OLD)
        if not isinstance(found, Row):
            raise ValueError(found)
        return found.stamped(self.stamps.next(2))

    @asynccontextmanager
    async def consumer(
        self, pace: Pace
    ) -> AsyncIterator[tuple[WireClient, ControlTable, Consumer]]:
        """One consumer, not running yet."""
        wire = WireClient(
            self.url,
            region="us-east-1",
            credentials=lambda: ReadOnlyCredentials("test", "test", None),
            clock=self.clock,
        )
        records = ControlTable(wire, self.migration.control_table, clock=self.clock)
        await records.create()
        repairs = Repairs(records, self.clock)
        consumer = Consumer(
            wire,
            records,
            self.migration,
            self.epochs,
            ParentRows(wire, self.migration, self.epochs, self.clock),
            repairs,
            self.clock,
            self.counts,
            process_id=f"bench-{self.clock.wall_ms()}",
            probe_table=f"{self.table.name}-probe",
            pace=pace,
        )
        try:
            yield wire, records, consumer
        finally:
            await wire.close()


def numbers(amount: int) -> Iterator[int]:
    """0 to ``amount``."""
    yield from range(amount)
