"""What stands in the records is shown as metrics."""

import asyncio
from typing import cast

from dualwrite.control.mover import Mover
from dualwrite.control.watch import LOOK_SECONDS_MAX, Watch
from dualwrite.core import metric_names
from dualwrite.core.phases import TableState
from dualwrite.core.records import POISON, REPAIR, Repair, dump
from tests.fakes.clock import VirtualClock
from tests.fakes.gates import FakeGates
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import Fault, MemoryRecords
from tests.unit.control.scene import MIGRATION


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords(page_records=2)
        self.metrics = MemoryMetrics()
        self.watch = Watch(
            self.records, MIGRATION, self.clock, self.metrics, FakeGates(), cast(Mover, self),
            pause_seconds=1.0,
        )  # fmt: skip

    async def states(self) -> dict[str, TableState]:
        return {name: TableState(name) for name in MIGRATION.by_name}

    def queue(self, kind: str, table: str, amount: int) -> None:
        for number in range(amount):
            first_ms = self.clock.wall_ms() - 1000 * (number + 1)
            repair = Repair(table, f"k{number}", "old", "r", first_ms=first_ms)
            self.records.put(kind, f"{table}/{number}", dump(repair))

    def repairs(self, table: str) -> tuple[float | None, ...]:
        shown = self.metrics.values
        return (
            shown.get((metric_names.REPAIRS_WAITING, table, "false")),
            shown.get((metric_names.REPAIRS_WAITING, table, "true")),
            shown.get((metric_names.REPAIRS_AGE_SECONDS, table)),
        )

    async def look(self, seconds: float) -> None:
        task = asyncio.create_task(self.watch.run())
        await self.clock.advance(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_repairs_and_poison_are_counted_whole() -> None:
    """However many pages they take, and by table."""

    async def go() -> None:
        scene = Scene()
        scene.queue(REPAIR, "moved", 3)
        scene.queue(POISON, "moved", 5)
        scene.queue(POISON, "also", 1)
        await scene.look(0.0)
        assert scene.repairs("moved") == (3, 5, 3.0)
        assert scene.repairs("also") == (0, 1, 0.0)
        assert scene.repairs("stays") == (0, 0, 0.0)

    asyncio.run(go())


def test_a_queue_that_takes_too_long_hides_no_other_table() -> None:
    """It is left as it was."""

    async def go() -> None:
        scene = Scene()
        scene.queue(REPAIR, "also", 2)

        async def slow(operation: str, kind: str, name: str) -> Fault | None:
            if kind == REPAIR and name == "moved/":
                await scene.clock.sleep(10 * LOOK_SECONDS_MAX)
            return None

        scene.records.hook = slow
        await scene.look(LOOK_SECONDS_MAX + 1.0)
        assert scene.repairs("moved") == (None, None, None)
        assert scene.repairs("also") == (2, 0, LOOK_SECONDS_MAX + 2.0)

    asyncio.run(go())
