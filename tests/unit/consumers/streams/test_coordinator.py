"""Consumers share shards: lineage, leases, take-over, gaps and evidence."""

import asyncio

from consumers.pace import Pace
from dualwrite.core.records import (
    SHARD,
)
from tests.unit.consumers.streams.coordinator_scene import (
    Process,
    World,
    one_who_has_read,
    reachable,
    run,
    unreachable,
)


def test_a_child_starts_only_after_its_parents_end_is_applied() -> None:
    """Also over two generations, and though all are listed at once."""

    async def go() -> None:
        world = World()
        world.engine.shard("p")
        world.engine.write("p", "1")
        world.engine.split("p", "c1", "c2")
        world.engine.write("c1", "2")
        world.engine.write("c2", "3")
        world.engine.split("c1", "g")
        world.engine.write("g", "4")
        process = Process(world, "one")
        process.sink.apply = False
        await world.clock.advance(20.0)
        assert process.sink.names == ["1"]
        process.sink.apply = True
        process.sink.taken[0][1].done = True
        await world.clock.until(lambda: len(process.sink.taken) == 4)
        assert process.sink.names.index("2") < process.sink.names.index("4")
        assert world.lease("p").checkpoint == "SHARD_END"
        assert world.stream().gaps == 0
        await process.kill()

    run(go())


def test_a_split_while_reading_is_followed_without_a_gap() -> None:
    """The children's leases exist before the parent's says that it has ended."""

    async def go() -> None:
        world, process = await one_who_has_read()
        await world.clock.advance(120.0)
        world.engine.write("p", "2")
        world.engine.split("p", "c1", "c2")
        world.engine.write("c2", "3")
        await world.clock.until(lambda: len(process.sink.taken) == 3)
        assert world.stream().gaps == 0
        assert world.lease("c2").parent == "p"
        await process.kill()

    run(go())


def test_a_dead_consumers_shards_are_taken_over_at_the_checkpoint() -> None:
    """What it had applied is not read again beyond its last checkpoint; nothing is skipped."""

    async def go() -> None:
        world = World()
        world.engine.shard("p")
        first = Process(world, "one")
        world.engine.write("p", "1")
        await world.clock.advance(5.0)
        first.sink.apply = False
        world.engine.write("p", "2")
        await world.clock.advance(5.0)
        assert first.sink.names == ["1", "2"]
        await first.kill()
        second = Process(world, "two")
        world.engine.write("p", "3")
        await world.clock.until(lambda: len(second.sink.taken) == 2)
        assert second.sink.names == ["2", "3"]
        assert world.lease("p").owner == "two"
        await second.kill()

    run(go())


def test_a_released_shard_is_taken_at_once() -> None:
    """A consumer that stops in order leaves its checkpoint and no wait."""

    async def go() -> None:
        world, first = await one_who_has_read()
        await first.stop()
        assert world.lease("p").owner == ""
        assert world.lease("p").checkpoint == "9"
        second = Process(world, "two")
        world.engine.write("p", "2")
        await world.clock.until(lambda: bool(second.sink.taken), 3.0)
        assert second.sink.names == ["2"]
        await second.kill()

    run(go())


def test_shards_are_shared_between_the_living() -> None:
    """Who joins gets his share, and what moves is neither lost nor skipped."""

    async def go() -> None:
        world = World()
        for number in range(6):
            world.engine.shard(f"s{number}")
        first = Process(world, "one")
        await world.clock.advance(5.0)
        second = Process(world, "two")

        def shared() -> bool:
            owners = [world.lease(f"s{number}").owner for number in range(6)]
            return owners.count("one") == owners.count("two") == 3

        await world.clock.until(shared)
        for number in range(6):
            world.engine.write(f"s{number}", str(number))
        await world.clock.until(lambda: {*first.sink.names, *second.sink.names} == set("012345"))
        await first.kill()
        await second.kill()

    run(go())


def test_a_stream_that_could_not_be_listed_is_soon_asked_again() -> None:
    """Long before the next look at all streams: nobody reads its shards meanwhile."""

    async def go() -> None:
        world = World()
        world.engine.shard("s1")
        world.engine.before_listing = unreachable
        process = Process(world, "one")
        await world.clock.advance(0.1)
        world.engine.before_listing = reachable
        world.engine.write("s1", "1")
        await world.clock.until(lambda: process.sink.names == ["1"], 3.0)
        await process.kill()

    run(go())


def test_leases_are_kept_while_a_listing_does_not_answer() -> None:
    """The other side's streams are read on, whatever the engine of this one does."""

    async def go() -> None:
        world, process = await one_who_has_read()
        world.engine.before_listing = asyncio.Event().wait  # type: ignore[assignment]  # never set
        await world.clock.advance(Pace().discover_seconds)
        other = Process(world, "two")
        await world.clock.advance(60.0)
        world.engine.write("p", "2")
        await world.clock.until(lambda: process.sink.names == ["1", "2"])
        await other.kill()
        await process.stop()

    run(go())


def test_a_shard_never_has_two_of_our_readers() -> None:
    """A process whose steps are frozen while its reader runs on stops reading before another may
    take its lease; so a stranger's consumer has room beside ours, also around a take-over."""

    async def go() -> None:
        world = World()
        world.engine.shard("s1")
        one = Process(world, "one")
        await world.clock.until(
            lambda: world.records.seen(SHARD) and world.lease("s1").owner == "one"
        )
        world.engine.write("s1", "a", world.clock.wall_ms())
        await world.clock.until(lambda: one.sink.names == ["a"])
        one.alive = False
        two, three = Process(world, "two"), Process(world, "three")
        await world.clock.until(lambda: world.lease("s1").owner not in ("", "one"))
        heir = two if world.lease("s1").owner == "two" else three
        other = three if heir is two else two
        world.engine.write("s1", "b", world.clock.wall_ms())
        await world.clock.until(lambda: heir.sink.names[-1:] == ["b"])
        await world.clock.advance(10)
        assert one.sink.names == ["a"]
        assert other.sink.names == []
        for process in (one, two, three):
            await process.kill()

    run(go())
