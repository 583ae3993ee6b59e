"""The count of big transactions: durable, never too low, whoever else writes or fails."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.core.errors import EngineError
from dualwrite.core.records import BIG_TRANSACTIONS, BigTransactions, dump, load
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords()
        self.log = self.process("p1")

    def process(self, process_id: str) -> BigTransactionCounts:
        return BigTransactionCounts(self.records, self.clock, process_id=process_id)

    def counted(self, name: str = "t/p1") -> BigTransactions:
        [record] = self.records.seen(BIG_TRANSACTIONS, name)
        return load(BigTransactions, record.value)

    def accept(self) -> None:
        value = dump(replace(self.counted(), accepted=self.counted().count))
        self.records.put(BIG_TRANSACTIONS, "t/p1", value)

    @property
    def writes(self) -> int:
        return sum(operation == "write" for operation, _, _ in self.records.calls)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_each_is_counted_with_its_time() -> None:
    """The count rises by one, and says when the last one was seen."""

    async def go() -> None:
        scene = Scene()
        await scene.log.seen("t")
        await scene.clock.advance(5.0)
        await scene.log.seen("t")
        assert scene.counted() == BigTransactions(2, scene.clock.wall_ms())

    run(go())


def test_processes_and_tables_have_records_of_their_own() -> None:
    """No process waits for another one's count."""

    async def go() -> None:
        scene = Scene()
        await asyncio.gather(scene.log.seen("t"), scene.process("p2").seen("t"))
        await scene.log.seen("u")
        assert [record.name for record in scene.records.seen(BIG_TRANSACTIONS)] == [
            "t/p1", "t/p2", "u/p1",
        ]  # fmt: skip
        assert [scene.counted(name).count for name in ("t/p1", "t/p2", "u/p1")] == [1, 1, 1]

    run(go())


def test_what_the_operator_accepted_stays() -> None:
    """Counting one more neither forgets the acceptance nor extends it to the new one."""

    async def go() -> None:
        scene = Scene()
        await scene.log.seen("t")
        scene.accept()
        await scene.log.seen("t")
        assert (scene.counted().count, scene.counted().accepted) == (2, 1)

    run(go())


def test_a_count_is_found_again() -> None:
    """A log that begins anew under the same name goes on from what stands there."""

    async def go() -> None:
        scene = Scene()
        await scene.log.seen("t")
        await scene.process("p1").seen("t")
        assert scene.counted().count == 2

    run(go())


def test_a_crowd_is_counted_by_two_writes() -> None:
    """All are counted, durably before they go on, and none waits for each of the others."""

    async def go() -> None:
        scene = Scene()
        scene.records.hook = _slowly
        await asyncio.gather(*(scene.log.seen("t") for _ in range(50)))
        assert scene.counted().count == 50
        assert scene.writes == 2

    run(go())


@pytest.mark.parametrize("fault", list(Fault))
def test_what_may_not_be_counted_is_said(fault: Fault) -> None:
    """An error, for all who waited for that write; the next one is counted as ever, and a lost
    answer leaves the count too high at worst."""

    async def go() -> None:
        scene = Scene()
        await scene.log.seen("t")

        async def broken(operation: str, kind: str, name: str) -> Fault | None:
            await asyncio.sleep(0)
            return fault

        scene.records.hook = broken
        crowd = [scene.log.seen("t") for _ in range(5)]
        heard = await asyncio.gather(*crowd, return_exceptions=True)
        assert all(isinstance(answer, EngineError) for answer in heard)
        assert scene.writes <= 3
        scene.records.hook = None
        await scene.log.seen("t")
        assert scene.counted().count == 2 or fault is Fault.LOST_ANSWER
        assert scene.counted().count >= 2

    run(go())


def test_one_who_leaves_does_not_hold_up_the_others() -> None:
    """A request that is cancelled while it counts: those behind it are counted."""

    async def go() -> None:
        scene = Scene()
        scene.records.hook = _slowly
        first = asyncio.create_task(scene.log.seen("t"))
        second = asyncio.create_task(scene.log.seen("t"))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert scene.counted().count >= 1

    run(go())


def test_a_record_that_never_stands_still_is_an_error() -> None:
    """Tries are bounded."""

    async def go() -> None:
        scene = Scene()
        await scene.log.seen("t")

        async def meddle(operation: str, kind: str, name: str) -> Fault | None:
            if operation == "write":
                scene.accept()
            return None

        scene.records.hook = meddle
        with pytest.raises(EngineError, match="kept changing"):
            await scene.log.seen("t")

    run(go())


async def _slowly(operation: str, kind: str, name: str) -> Fault | None:
    await asyncio.sleep(0)
    return None
