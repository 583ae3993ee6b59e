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
from dualwrite.core import metric_names
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Side
from dualwrite.core.records import POISON, REPAIR, Repair, dump, load, repair_name
from dualwrite.core.spec import MigratedTable
from tests.consumer_harness import a_migration
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.work_queue import MemoryLanes, MemoryQueue

PACE = Pace()
PAGE = 3


class Scene:
    """A worker whose reconciler answers ``result`` to every key."""

    def __init__(self, result: Result = Result.CURED) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords(page_records=PAGE)
        self.repairs = Repairs(self.records, self.clock)
        self.poison = Poison(self.repairs)
        self.metrics = MemoryMetrics()
        self.result = result
        self.tried: list[str] = []
        self.broken: list[Exception] = []
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
        if self.broken:
            raise self.broken.pop()
        return self.result

    async def put(self, amount: int) -> None:
        for number in range(amount):
            await self.repairs.put("notes", Side.OLD, f"k{number}", "failed")

    async def step(self) -> None:
        await self.clock.drive(self.worker.step())

    def reads(self) -> int:
        return sum(operation in {"page", "list"} for operation, _, _ in self.records.calls)

    def shown(self, poison: str) -> float:
        return self.metrics.values[metric_names.REPAIRS_WAITING, "notes", poison]

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


def test_a_long_queue_is_read_once_for_all_that_is_due_on_it() -> None:
    """So that what an outage left behind costs no more a key the more there is of it."""

    async def go() -> None:
        scene = Scene()
        await scene.put(10 * PAGE)
        await scene.step()
        assert len(scene.tried) == len(set(scene.tried)) == 10 * PAGE
        assert scene.waiting() == []
        assert scene.reads() == 10

    run(go())


def test_poison_costs_a_step_nothing() -> None:
    """However many keys wait for a person; they are counted all the same."""

    async def go() -> None:
        scene = Scene(Result.FAILED)
        for number in range(10 * PAGE):
            await scene.repairs.poison("notes", Side.OLD, f"p{number}", "orphan")
        await scene.poison.look()
        await scene.put(2)
        before = scene.reads()
        await scene.step()
        assert scene.reads() - before == 1
        assert scene.shown("true") == 10 * PAGE
        assert scene.shown("false") == 2
        scene.result = Result.CURED
        await scene.clock.advance(PACE.repair_back_off_seconds_max)
        await scene.step()
        assert scene.shown("false") == 0

    run(go())


def test_a_step_that_fails_goes_on_behind_where_it_stopped() -> None:
    """What cannot be tried now keeps nothing behind it from being tried, and has its turn in the
    next round."""

    async def go() -> None:
        scene = Scene()
        await scene.put(3 * PAGE)
        scene.broken = [LeaseExpired("too late")]
        with pytest.raises(LeaseExpired):
            await scene.step()
        assert len(scene.tried) == PAGE
        await scene.step()
        assert len(scene.waiting()) == 1
        await scene.step()
        assert scene.waiting() == []
        assert len(scene.tried) == 3 * PAGE + 1

    run(go())


@pytest.mark.parametrize(
    ("result", "stays"), [(Result.CURED, False), (Result.IDLE, False), (Result.LEFT, True)]
)
def test_poison_that_was_tried_for_a_person_leaves_the_list_once_it_is_none(
    result: Result, stays: bool
) -> None:
    """Whether or not this process knew that it stands there."""

    async def go() -> None:
        scene = Scene(result)
        await scene.repairs.poison("notes", Side.OLD, "k", "orphan")
        again = Repair("notes", "k", "old", "orphan", listed=True)
        scene.records.put(REPAIR, repair_name("notes", Side.OLD, "k"), dump(again))
        await scene.repairs.put("notes", Side.OLD, "k", "unknown")
        await scene.step()
        assert scene.waiting() == []
        assert bool(scene.records.seen(POISON)) is stays

    run(go())
