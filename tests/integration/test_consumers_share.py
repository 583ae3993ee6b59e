"""Two consumers on a real engine: one is killed, the other takes over, nothing is lost."""

import asyncio
from typing import Any

import pytest

from dualwrite.core.phases import Side
from dualwrite.core.records import MEMBER, SHARD, Member, dump
from tests.consumer_harness import CountingDynamo, Life, Mortal, World, note, run


@pytest.fixture
def world(engine: str, boto: Any, table_prefix: str) -> World:
    return World(engine, boto, table_prefix)


class Members:
    """Renews MEMBER records as the consumers' own leases do."""

    def __init__(self, world: World, *names: str) -> None:
        self.world = world
        self.alive = set(names)
        self.task = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        counter = 0
        while True:
            counter += 1
            for name in self.alive:
                self.world.records.put(
                    MEMBER, name, dump(Member("consumer", 0, counter, lease_seconds=0.4))
                )
            await asyncio.sleep(0.05)


def owners(world: World) -> list[str]:
    return [record.value["owner"] for record in world.records.seen(SHARD)]


def mortal(world: World, life: Life) -> CountingDynamo:
    dynamo = world.wire()

    async def check(operation: str, request: Any) -> None:
        life.check()

    dynamo.before = check
    return dynamo


def test_the_killed_ones_shards_are_taken_over_and_nothing_is_lost(world: World) -> None:
    """Writes that miss the follower go on all the while; in the end both sides are equal."""

    async def go() -> None:
        members = Members(world, "one", "two")
        life = Life()
        one = world.consumer("one", mortal(world, life), Mortal(world.records, life))
        async with world.consuming(one, world.consumer("two")):
            await world.until(lambda: set(owners(world)) == {"one", "two"})
            for number in range(30):
                world.mirrored(world.notes, note(number), Side.OLD)
                world.mirrored(world.tasks, task(number), Side.OLD)
                if number == 15:
                    members.alive.discard("one")
                    life.over = True
                await asyncio.sleep(0.01)
            await world.until(lambda: set(owners(world)) == {"two"})
            await world.drained()
            await world.drained()
        members.task.cancel()
        for table in (world.notes, world.tasks):
            assert world.equal(table)
            assert len(world.items(table, Side.NEW)) == 30

    run(go())


def test_a_checkpoint_never_passes_an_unapplied_record(world: World) -> None:
    """While cures fail and cannot even be queued, the lease's checkpoint stands before them; who
    reads on from it finds them."""

    async def go() -> None:
        life = Life()
        dynamo = world.wire()

        async def no_writes(operation: str, request: Any) -> None:
            if operation in ("PutItem", "UpdateItem", "GetItem"):
                life.check()

        dynamo.before = no_writes
        world.records = Choosy(world.records, life)
        async with world.consuming(world.consumer("one", dynamo)):
            world.mirrored(world.notes, note(1))
            await world.drained()
            life.over = True
            for number in range(2, 6):
                world.mirrored(world.notes, note(number), Side.OLD)
            await world.until(lambda: dynamo.calls["GetItem"] > 20)
        life.over = False
        assert not world.items(world.notes, Side.NEW).keys() - first(world)
        async with world.consuming(world.consumer("two")):
            await world.until(lambda: world.equal(world.notes))
        assert len(world.items(world.notes, Side.NEW)) == 5

    run(go())


class Choosy(Mortal):
    """Only repairs cannot be written while life is over."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != "write":
            return found

        async def write(kind: str, *rest: Any, **more: Any) -> Any:
            if kind == "repair":
                self._life.check()
            return await found(kind, *rest, **more)

        return write


def test_who_stops_a_consumer_that_stops_already_waits_for_it(world: World) -> None:
    """A signal stops it twice, for what it runs stops it too: its shards are free when the second
    one returns, whose caller closes what they are released over."""

    async def go() -> None:
        members = Members(world, "one")
        consumer = world.consumer("one")
        running = asyncio.create_task(consumer.run())
        await world.drained()
        assert set(owners(world)) == {"one"}
        first, second = (asyncio.create_task(consumer.stop()) for _ in range(2))
        await second
        assert set(owners(world)) == {""}
        await asyncio.gather(first, running)
        members.task.cancel()

    run(go())


def first(world: World) -> set[str]:
    return {'[["S","aws-1#acme"],["S","n00001"]]'}


def task(number: int) -> Any:
    return {
        "list_id": {"S": "l"}, "task_id": {"S": f"t{number}"}, "endpoint_id": {"S": "acme-prod"},
    }  # fmt: skip
