"""Members of a real Kafka group come, go, and stay while the broker does not answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from kafka.admin import KafkaAdminClient
from structlog.testing import capture_logs

from dualwrite.adapters import kafka_reader
from dualwrite.adapters.kafka_queue import KafkaQueue
from dualwrite.adapters.kafka_topics import KafkaPlace, Topics
from dualwrite.core.errors import EngineError
from dualwrite.core.ports import Job, Lane, Parcel, WorkQueue
from tests.consumer_harness import WAIT_SECONDS_MAX, run
from tests.kafka_local import Broker, kafka, own_broker

__all__ = ["kafka", "own_broker"]

pytestmark = pytest.mark.timeout(400)
"""A broker takes a minute to start on a machine that has other things to do."""
PARCELS = [Parcel(f"k{number}", {"n": number}) for number in range(40)]

Member = Callable[[], Awaitable[WorkQueue]]


@asynccontextmanager
async def members(place: KafkaPlace) -> AsyncIterator[Member]:
    async with AsyncExitStack() as stack:

        async def member() -> WorkQueue:
            queue = KafkaQueue(place)
            await queue.start()
            stack.push_async_callback(queue.close)
            return queue

        yield member


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            if await true():
                return
            await asyncio.sleep(0.02)


async def taken(queue: WorkQueue, count: int) -> list[Job]:
    jobs: list[Job] = []

    async def enough() -> bool:
        jobs.extend(await queue.take(Lane.DIRTY, count - len(jobs)))
        return len(jobs) == count

    await until(enough)
    return jobs


class Group:
    """The group of the dirty keys' workers, as the broker sees it."""

    def __init__(self, place: KafkaPlace) -> None:
        topics = Topics(place)
        identity = topics.ids((place.topic(Lane.DIRTY.value),))[place.topic(Lane.DIRTY.value)]
        topics.close()
        self._name = place.group(Lane.DIRTY, identity)
        self._admin = KafkaAdminClient(bootstrap_servers=list(place.servers))

    async def seen(self) -> tuple[str, int]:
        """Its state, and how many members it has."""
        found: Any = await asyncio.to_thread(self._admin.describe_groups, [self._name])
        group = found[self._name]
        return group["group_state"], len(group["members"])

    def close(self) -> None:
        self._admin.close()


def test_an_acknowledgement_outlives_a_commit_that_failed(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is killed and comes back costs nothing that was acknowledged: the same member
    commits it later, and nobody is given it again."""
    monkeypatch.setattr(kafka_reader, "REQUEST_MS", 300)

    async def go() -> None:
        async with members(own_broker.place("killed")) as member:
            queue = await member()
            tickets = await queue.put(Lane.DIRTY, PARCELS)
            jobs = await taken(queue, len(PARCELS))
            with capture_logs() as logged:
                own_broker.kill()
                await queue.ack(jobs)

                async def failed() -> bool:
                    return any(line["event"] == "not committed" for line in logged)

                await until(failed)
            await asyncio.to_thread(own_broker.start)
            again: list[Job] = []

            async def all_settled() -> bool:
                again.extend(await queue.take(Lane.DIRTY, len(PARCELS)))
                with suppress(EngineError):
                    return len(await queue.settled(Lane.DIRTY, tickets)) == len(tickets)
                return False

            await until(all_settled)
            assert again == []

    run(go())


def test_a_partition_changes_hands_when_what_was_taken_of_it_is_done(
    kafka: Broker, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that hears of another finishes what it has in hand and commits it: so nothing is
    worked on in two places, and nothing is done twice."""
    monkeypatch.setattr(kafka_reader, "HAND_OVER_SECONDS_MAX", 5.0)
    place = kafka.place(table_prefix + "hands")

    async def go() -> None:
        async with members(place) as member:
            first, second = await member(), await member()
            tickets = await first.put(Lane.DIRTY, PARCELS)
            held = await taken(first, len(PARCELS))
            group = Group(place)
            assert await second.take(Lane.DIRTY, 1) == ()

            async def rebalancing() -> bool:
                return (await group.seen())[0] == "PreparingRebalance"

            await until(rebalancing)
            await asyncio.sleep(2 * kafka_reader.HEARTBEAT_MS / 1000)
            assert await rebalancing(), "the first has heard of the second by now, and waits"
            await first.ack(held)
            done: list[Job] = []

            async def shared() -> bool:
                for queue in (first, second):
                    jobs = await queue.take(Lane.DIRTY, 9)
                    done.extend(jobs)
                    await queue.ack(jobs)
                return await group.seen() == ("Stable", 2)

            await until(shared)
            assert done == []
            assert await first.settled(Lane.DIRTY, tickets) == frozenset(tickets)
            group.close()

    run(go())


def test_what_waits_in_a_member_that_keeps_its_partition_is_done(
    kafka: Broker, table_prefix: str
) -> None:
    """Another one joins while a member has fetched all and taken nothing: each parcel comes to
    somebody, and none is settled before."""
    place = kafka.place(table_prefix + "kept")

    async def go() -> None:
        async with members(place) as member:
            first, second = await member(), await member()
            tickets = await first.put(Lane.DIRTY, PARCELS)
            held = await taken(first, 1)
            group = Group(place)

            async def both_are_in() -> bool:
                await second.take(Lane.DIRTY, 0)
                return await group.seen() == ("Stable", 2)

            await until(both_are_in)
            group.close()
            await first.ack(held)
            done = {job.parcel.key for job in held}

            async def settled() -> bool:
                for queue in (first, second):
                    jobs = await queue.take(Lane.DIRTY, 1)
                    done.update(job.parcel.key for job in jobs if job.parcel in PARCELS)
                    await queue.ack(jobs)
                return await first.settled(Lane.DIRTY, tickets) == frozenset(tickets)

            for parcel in PARCELS:  # a later one of the same partition, whose commit passes it
                await first.put(Lane.DIRTY, [Parcel(parcel.key, {"later": True})])
            await until(settled)
            assert done == {parcel.key for parcel in PARCELS}

    run(go())


def test_who_leaves_while_it_joins_is_out_of_the_group(
    kafka: Broker, table_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its farewell waits for the join to end, for a broker reads none before: else the group would
    give partitions to a member that is gone, and wait for its session to run out."""
    monkeypatch.setattr(kafka_reader, "HAND_OVER_SECONDS_MAX", 2.0)
    monkeypatch.setattr(kafka_reader, "JOIN_MS", 50)
    monkeypatch.setattr(kafka_reader, "LEAVE_SECONDS_MAX", 30.0)
    monkeypatch.setattr(kafka_reader, "FAREWELL_MS", 200)
    place = kafka.place(table_prefix + "ghost")

    async def go() -> None:
        async with members(place) as member:
            first, second = await member(), await member()
            await first.put(Lane.DIRTY, PARCELS)
            await taken(first, len(PARCELS))
            group = Group(place)
            await second.take(Lane.DIRTY, 1)

            async def joining() -> bool:
                return (await group.seen()) == ("PreparingRebalance", 2)

            await until(joining)
            await second.close()
            assert (await group.seen())[1] == 1
            group.close()

    run(go())
