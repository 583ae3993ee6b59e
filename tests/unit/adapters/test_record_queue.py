"""The work queue in the control table, where the engine is slow or does not answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dualwrite.adapters.record_queue import (
    DEAD_MAX,
    FULL_SECONDS,
    RENEW_SECONDS,
    SILENCE_SECONDS,
    WRITES_MAX,
    RecordQueue,
)
from dualwrite.core.errors import Unreachable
from dualwrite.core.ports import Job, Lane, Parcel
from dualwrite.core.records import WORK, QueuedWork, dump
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords

TURN_SECONDS = 0.05


class Scene:
    """Members of one queue over records that take ``slow_seconds`` for each write."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.slow_seconds = 0.0
        self.faults: list[Fault] = []
        self.records = MemoryRecords(self._hook)
        self.queue = self.member("me")

    def member(self, name: str) -> RecordQueue:
        return RecordQueue(self.records, self.clock, name)

    async def _hook(self, operation: str, kind: str, name: str) -> Fault | None:
        if operation in {"write", "delete"}:
            await self.clock.sleep(self.slow_seconds)
            return self.faults.pop() if self.faults else None
        return None

    @property
    def parcels(self) -> int:
        return len(self.records.seen(WORK, f"{Lane.DIRTY.value}/"))

    def writes(self) -> int:
        return sum(operation == "write" for operation, _, _ in self.records.calls)

    async def take(self, most: int, queue: RecordQueue | None = None) -> tuple[Job, ...]:
        return await self.clock.drive((queue or self.queue).take(Lane.DIRTY, most))

    async def put(self, *keys: str) -> tuple[Any, ...]:
        return await self.clock.drive(
            self.queue.put(Lane.DIRTY, [Parcel(key, {"key": key}) for key in keys])
        )


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_work_that_waits_is_not_stored_twice() -> None:
    """Whoever puts it gets the same ticket, which is settled for all of them."""

    async def go() -> None:
        scene = Scene()
        tickets = await scene.put("a", "b")
        for _ in range(10):
            assert await scene.put("a", "b") == tickets
        assert scene.parcels == 2
        await scene.clock.drive(scene.queue.ack(await scene.take(10)))
        settled = await scene.clock.drive(scene.queue.settled(Lane.DIRTY, tickets))
        assert settled == frozenset(tickets)

    run(go())


def test_work_that_somebody_has_begun_is_stored_once_more() -> None:
    """He may have read the row before it became dirty again."""

    async def go() -> None:
        scene = Scene()
        [first] = await scene.put("a")
        await scene.take(1)
        [second] = await scene.put("a")
        assert second != first
        assert await scene.put("a") == (second,)
        assert scene.parcels == 2

    run(go())


def test_a_put_that_failed_in_part_leaves_nothing_twice() -> None:
    """All of it is put again, and what had arrived waits there already."""

    async def go() -> None:
        scene = Scene()
        scene.faults = [Fault.UNREACHABLE]
        with pytest.raises(Unreachable):
            await scene.put("a", "b", "c")
        await scene.put("a", "b", "c")
        assert scene.parcels == 3

    run(go())


def test_work_that_is_soon_done_is_never_renewed() -> None:
    """And what lasts is renewed no more often than its claim's life asks for."""

    async def go() -> None:
        scene = Scene()
        await scene.put("a")
        [job] = await scene.take(1)
        before = scene.writes()
        await scene.clock.advance(RENEW_SECONDS * 0.9)
        await scene.take(0)
        assert scene.writes() == before
        for _ in range(600):
            await scene.clock.advance(TURN_SECONDS)
            await scene.take(0)
        assert scene.writes() - before <= 3 * 30 / SILENCE_SECONDS + 1
        assert await scene.take(1, scene.member("other")) == ()
        await scene.clock.drive(scene.queue.ack([job]))
        assert scene.parcels == 0

    run(go())


def test_a_slow_engine_is_asked_for_no_more_than_it_renews() -> None:
    """Nothing that a living member has in hand falls to another, however slow the writes."""

    async def go() -> None:
        scene = Scene()
        await scene.put(*(f"k{number}" for number in range(20 * WRITES_MAX)))
        scene.slow_seconds = SILENCE_SECONDS / 6
        held: dict[str, str] = {}

        async def works(name: str) -> None:
            queue = scene.member(name)
            while True:
                for job in await queue.take(Lane.DIRTY, 100):
                    assert held.setdefault(job.parcel.key, name) == name
                await scene.clock.sleep(TURN_SECONDS)

        tasks = [asyncio.create_task(works(name)) for name in ("one", "two")]
        await scene.clock.advance(SILENCE_SECONDS * 8)
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        assert set(held.values()) == {"one", "two"}

    run(go())


def test_an_acknowledgement_during_a_renewal_counts() -> None:
    """The renewal does not take the record from under it."""

    async def go() -> None:
        scene = Scene()
        await scene.put("a")
        jobs = await scene.take(1)
        await scene.clock.advance(RENEW_SECONDS * 1.1)
        scene.slow_seconds = 0.5
        renewing = asyncio.create_task(scene.queue.take(Lane.DIRTY, 0))
        await scene.clock.advance(0.4)
        scene.slow_seconds = 0.0
        await scene.clock.drive(scene.queue.ack(jobs))
        await renewing
        assert scene.parcels == 0

    run(go())


def test_an_acknowledgement_that_did_not_arrive_is_made_again() -> None:
    """Also where its worker does not try again: the work is done, and must hold up nobody."""

    async def go() -> None:
        scene = Scene()
        await scene.put("a")
        jobs = await scene.take(1)
        scene.faults = [Fault.UNREACHABLE]
        with pytest.raises(Unreachable):
            await scene.clock.drive(scene.queue.ack(jobs))
        assert scene.parcels == 1
        await scene.clock.advance(RENEW_SECONDS * 1.1)
        await scene.take(0)
        assert scene.parcels == 0

    run(go())


def test_dead_letters_that_are_too_many_are_not_kept_and_harm_nobody() -> None:
    """Nor is the lane listed for each of them; once somebody has emptied it, new ones are kept."""

    async def go() -> None:
        scene = Scene()
        prefix = f"{Lane.DEAD.value}/"
        for number in range(DEAD_MAX):
            scene.records.put(WORK, f"{prefix}k{number}/1-x", dump(QueuedWork("k", {})))
        for _ in range(20):
            await scene.clock.drive(scene.queue.bury(Parcel("bad", {}), "nobody understands it"))
        assert len(scene.records.seen(WORK, prefix)) == DEAD_MAX
        assert sum(operation == "list" for operation, _, _ in scene.records.calls) == 1
        for record in scene.records.seen(WORK, prefix):
            scene.records.forget(WORK, record.name)
        await scene.clock.advance(FULL_SECONDS)
        await scene.clock.drive(scene.queue.bury(Parcel("bad", {}), "nobody understands it"))
        [kept] = scene.records.seen(WORK, prefix)
        assert kept.value["reason"] == "nobody understands it"

    run(go())
