"""Schedules written down by hand: what the simulator once met by chance, pinned for good."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest

from consumers.effort import Effort
from consumers.keys import dirty_key
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Work
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Phase, Side, TableState
from tests.fakes.clock import VirtualClock
from tests.fakes.epochs import SetEpochs
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.simulation.engine import FakeDynamo
from tests.simulation.world.tables import base_item, create, migration_of

KEY = "acme-prod/n1"


class Slow:
    """The engine, with something that happens while the leader's read is under way."""

    def __init__(self, engine: FakeDynamo, table: str, meanwhile: Callable[[], None]) -> None:
        self._engine = engine
        self._table = table
        self._meanwhile = meanwhile

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._engine.call(operation, request)
        if operation == "GetItem" and request["TableName"] == self._table:
            self._meanwhile()
        return answer


class Scene:
    """One note that stands on old only, and somebody who is about to copy it."""

    def __init__(self) -> None:
        self.migration = migration_of(("notes",))
        [self.notes] = self.migration.tables
        self.engine = FakeDynamo()
        create(self.engine, self.migration)
        self.item = base_item("notes", KEY)
        self.engine.execute("PutItem", {"TableName": "notes", "Item": self.item})
        self.epochs = SetEpochs(Phase.MIRROR_OLD, epoch=2)
        self.sent: list[str] = []
        self.engine.watchers.append(lambda commit: self.sent.append(commit.table))

    def reconciler(self, meanwhile: Callable[[], None]) -> Reconciler:
        dynamo, clock, records = (
            Slow(self.engine, "notes", meanwhile),
            VirtualClock(),
            MemoryRecords(),
        )
        return Reconciler(
            dynamo, records, self.epochs,
            ParentRows(dynamo, self.migration, self.epochs, clock),
            Poison(Repairs(records, clock)), MemoryMetrics(), Effort(clock, Random(1), Pace()),
        )  # fmt: skip

    def reconcile(self, meanwhile: Callable[[], None]) -> None:
        work = Work(dirty_key(self.notes, self.item, Side.OLD))
        asyncio.run(_reconciled(self.reconciler(meanwhile), self, work))


async def _reconciled(reconciler: Reconciler, scene: Scene, work: Work) -> None:
    await reconciler.reconcile(scene.notes, work)


def test_a_cure_is_not_sent_once_the_lease_ran_out_over_its_reads() -> None:
    """The controller waits for a lease and one request's life: a cure that is sent after that could
    meet another leader, and bring back what was deleted there since."""
    scene = Scene()
    with pytest.raises(LeaseExpired):
        scene.reconcile(lambda: setattr(scene.epochs, "expired", True))
    assert not scene.sent
    assert scene.epochs.in_flight == 0


def test_a_cure_is_not_sent_two_epochs_later() -> None:
    """The next state may be live beside ours, the one after that may not."""
    scene = Scene()

    def moved_on() -> None:
        scene.epochs.states["notes"] = TableState("notes", 4, Phase.ATOMIC_NEW)

    with pytest.raises(LeaseExpired):
        scene.reconcile(moved_on)
    assert not scene.sent
