"""The worker of the repair queue: what it tries, and what becomes of what failed."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any, cast

import pytest

from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Result, Work
from consumers.repairs import RepairWorker
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.phases import Side
from dualwrite.core.records import REPAIR, Repair, load
from dualwrite.core.spec import MigratedTable
from tests.consumer_harness import a_migration
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.work_queue import MemoryLanes, MemoryQueue

PACE = Pace()


class Scene:
    """A worker whose reconciler answers ``result`` to every key."""

    def __init__(self, result: Result = Result.CURED) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords()
        self.repairs = Repairs(self.records, self.clock)
        self.poison = Poison(self.repairs)
        self.metrics = MemoryMetrics()
        self.result = result
        self.tried: list[str] = []
        self.lanes = MemoryLanes()
        self.worker = RepairWorker(
            self.repairs,
            a_migration(""),
            cast(Reconciler, self),
            self.poison,
            Consumers(self.clock, "me"),
            self.clock,
            self.metrics,
            Effort(self.clock, Random(1), PACE),
            PACE,
            MemoryQueue(self.lanes, "me"),
        )

    async def reconcile(self, _table: MigratedTable, work: Work) -> Result:
        self.tried.append(work.dirty.token)
        return self.result

    async def put(self, amount: int) -> None:
        for number in range(amount):
            await self.repairs.put("notes", Side.OLD, f"k{number}", "failed")

    async def step(self) -> None:
        await self.clock.drive(self.worker.step())

    def waiting(self) -> list[Repair]:
        return [load(Repair, record.value) for record in self.records.seen(REPAIR)]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("away", [False, True])
def test_a_repair_that_keeps_failing_backs_off_whatever_becomes_of_its_dead_letter(
    away: bool,
) -> None:
    """A copy is left once, for a person to look at; the repair itself goes on."""

    async def go() -> None:
        scene = Scene(Result.FAILED)
        scene.lanes.away = away
        await scene.put(1)
        for attempt in range(1, PACE.repair_attempts_told + 3):
            await scene.step()
            [repair] = scene.waiting()
            assert repair.attempts == len(scene.tried) == attempt
            assert repair.next_ms > scene.clock.wall_ms()
            await scene.clock.advance(PACE.repair_back_off_seconds_max)
        assert len(scene.lanes.dead) == (0 if away else 1)

    run(go())
