"""What every implementation of ``WorkQueue`` promises: memory, the control table, Kafka."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.adapters.kafka_queue import KafkaQueue
from dualwrite.adapters.record_queue import RecordQueue
from dualwrite.core.ports import Job, Lane, Parcel, Ticket, WorkQueue
from tests.fakes.engine_client import engine_client
from tests.fakes.work_queue import MemoryLanes, MemoryQueue
from tests.kafka_local import kafka

__all__ = ["kafka"]

pytestmark = pytest.mark.timeout(400)
"""A broker takes a minute to start on a machine that has other things to do."""
WAIT_SECONDS_MAX = 60.0

Member = Callable[[str], Awaitable[WorkQueue]]
Scene = Callable[[Callable[[Member], Awaitable[None]]], None]


@pytest.fixture(params=["memory", "control table", "kafka"])
def on(request: pytest.FixtureRequest) -> Scene:
    """Runs a test's coroutine, which is given a maker of members of one queue."""
    prefix = request.getfixturevalue("table_prefix")

    @asynccontextmanager
    async def members() -> AsyncIterator[Member]:
        async with AsyncExitStack() as stack:
            lanes = MemoryLanes()
            if request.param == "control table":
                dynamo = await stack.enter_async_context(
                    engine_client(request.getfixturevalue("engine"))
                )
                records = ControlTable(dynamo, f"{prefix}control")
                await records.create()

            async def member(name: str) -> WorkQueue:
                if request.param == "memory":
                    return MemoryQueue(lanes, name)
                if request.param == "control table":
                    return RecordQueue(records, SystemClock(), name)
                queue = KafkaQueue(request.getfixturevalue("kafka").place(prefix + "q"))
                await queue.start()
                stack.push_async_callback(queue.close)
                return queue

            yield member

    async def prepared(test: Callable[[Member], Awaitable[None]]) -> None:
        async with members() as member:
            await test(member)

    if request.param == "kafka":
        request.getfixturevalue("kafka")
    return lambda test: asyncio.run(prepared(test))


def parcels(*keys: str) -> list[Parcel]:
    return [Parcel(key, {"n": number}) for number, key in enumerate(keys)]


async def taken(queue: WorkQueue, count: int, *, acked: bool = False) -> list[Job]:
    """Take until there are so many; acknowledges at once where asked."""
    jobs: list[Job] = []

    async def all_of_them() -> None:
        while len(jobs) < count:
            found = await queue.take(Lane.DIRTY, 10)
            jobs.extend(found)
            if acked:
                await queue.ack(found)
            await asyncio.sleep(0.01)

    await asyncio.wait_for(all_of_them(), WAIT_SECONDS_MAX)
    return jobs


async def settled(
    queue: WorkQueue, tickets: Sequence[Ticket], count: int, *, working: bool = True
) -> None:
    """Wait until so many are settled. Somebody has to go on working, for what was acknowledged may
    come once more: this member does unless told otherwise."""

    async def so_many() -> None:
        while len(await queue.settled(Lane.DIRTY, tickets)) < count:
            if working:
                await queue.ack(await queue.take(Lane.DIRTY, 10))
            await asyncio.sleep(0.02)

    await asyncio.wait_for(so_many(), WAIT_SECONDS_MAX)


def test_what_is_put_is_taken_and_settled_by_its_acknowledgement(on: Scene) -> None:
    """Parcels arrive whole; they are settled once acknowledged, and not before."""

    async def test(member: Member) -> None:
        queue = await member("a")
        tickets = await queue.put(Lane.DIRTY, parcels("x", "y", "z"))
        jobs = await taken(queue, 3)
        assert sorted((j.parcel.key, j.parcel.body["n"]) for j in jobs) == [
            ("x", 0), ("y", 1), ("z", 2)
        ]  # fmt: skip
        assert await queue.settled(Lane.DIRTY, tickets) == frozenset()
        await queue.ack(jobs)
        await settled(queue, tickets, 3)

    on(test)


def test_what_waits_stands(on: Scene) -> None:
    """Whoever waits can tell a line that is long from one that was lost."""

    async def test(member: Member) -> None:
        queue = await member("a")
        tickets = await queue.put(Lane.DIRTY, parcels("x", "y", "z"))
        await taken(queue, 2)
        assert await queue.standing(Lane.DIRTY, tickets) == frozenset(tickets)

    on(test)


def test_what_waits_may_be_put_again(on: Scene) -> None:
    """Both tickets are settled, whether they are one or two."""

    async def test(member: Member) -> None:
        queue = await member("a")
        tickets = [*await queue.put(Lane.DIRTY, parcels("x"))]
        tickets += await queue.put(Lane.DIRTY, parcels("x"))
        await settled(queue, tickets, len(set(tickets)))

    on(test)


def test_one_key_is_worked_on_in_order(on: Scene) -> None:
    """Parcels of one key come in the order in which they were put, whoever else waits."""

    async def test(member: Member) -> None:
        queue = await member("a")
        for start in range(0, 12, 4):
            await queue.put(
                Lane.DIRTY, [Parcel(f"k{n % 2}", {"n": n}) for n in range(start, start + 4)]
            )
        jobs = await taken(queue, 12, acked=True)
        for key in ("k0", "k1"):
            numbers = [job.parcel.body["n"] for job in jobs if job.parcel.key == key]
            assert numbers == sorted(numbers)
            assert len(numbers) == 6

    on(test)


def test_lanes_do_not_mix(on: Scene) -> None:
    """Work of one kind does not wait behind another's."""

    async def test(member: Member) -> None:
        queue = await member("a")
        await queue.put(Lane.SEGMENTS, parcels("segment"))
        await queue.put(Lane.DIRTY, parcels("key"))
        [job] = await taken(queue, 1)
        assert job.parcel.key == "key"

    on(test)


def test_what_a_member_took_and_did_not_finish_goes_to_another(on: Scene) -> None:
    """At least once: leaving without an acknowledgement gives the work back."""

    async def test(member: Member) -> None:
        first = await member("a")
        tickets = await first.put(Lane.DIRTY, parcels("x", "y"))
        assert len(await taken(first, 2)) == 2
        await first.close()
        second = await member("b")
        again = await taken(second, 2)
        assert {job.parcel.key for job in again} == {"x", "y"}
        await second.ack(again)
        await settled(second, tickets, 2)

    on(test)


def test_who_cannot_do_his_work_steps_back_and_comes_again(on: Scene) -> None:
    """What he took goes to another, or to himself once he asks again."""

    async def test(member: Member) -> None:
        queue = await member("a")
        await queue.put(Lane.DIRTY, parcels("x", "y"))
        await taken(queue, 2)
        await queue.step_back(Lane.DIRTY)
        again = await taken(queue, 2)
        assert {job.parcel.key for job in again} == {"x", "y"}

    on(test)


def test_an_acknowledgement_of_a_claim_that_is_over_counts_for_nothing(on: Scene) -> None:
    """A member that was thought dead cannot settle what another works on now."""

    async def test(member: Member) -> None:
        first = await member("a")
        tickets = await first.put(Lane.DIRTY, parcels("x"))
        old = await taken(first, 1)
        await first.close()
        second = await member("b")
        await taken(second, 1)
        await first.ack(old)
        assert await second.settled(Lane.DIRTY, tickets) == frozenset()

    on(test)


def test_two_members_share_the_work_and_no_key(on: Scene) -> None:
    """Everything is done, and no key is in two hands at once."""

    async def test(member: Member) -> None:
        first, second = await member("a"), await member("b")
        keys = [f"k{n % 20}" for n in range(100)]
        tickets = await first.put(Lane.DIRTY, parcels(*keys))
        busy: dict[str, str] = {}

        async def work(name: str, queue: WorkQueue) -> None:
            while True:
                jobs = await queue.take(Lane.DIRTY, 5)
                for job in jobs:
                    assert busy.setdefault(job.parcel.key, name) == name
                await asyncio.sleep(0.005)
                for key in {job.parcel.key for job in jobs}:
                    del busy[key]
                await queue.ack(jobs)

        works: list[asyncio.Task[Any]] = [
            asyncio.create_task(work(name, queue)) for name, queue in (("a", first), ("b", second))
        ]
        waiting = asyncio.create_task(settled(first, tickets, 100, working=False))
        await asyncio.wait([*works, waiting], return_when=asyncio.FIRST_COMPLETED)
        for task in works:
            assert not task.done(), task.exception()
            task.cancel()
        await waiting

    on(test)


def test_dead_letters_are_kept_apart(on: Scene) -> None:
    """What is buried comes to no worker again."""

    async def test(member: Member) -> None:
        queue = await member("a")
        await queue.put(Lane.DIRTY, parcels("bad"))
        jobs = await taken(queue, 1)
        await queue.bury(jobs[0].parcel, "no such table")
        await queue.ack(jobs)
        await queue.put(Lane.DIRTY, parcels("good"))
        [job] = await taken(queue, 1)
        assert job.parcel.key == "good"

    on(test)
