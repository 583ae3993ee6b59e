"""What the gates are told of a stream: the barriers it has passed, and whether it has a gap."""

from consumers.pace import Pace
from dualwrite.core.records import (
    BARRIER,
    Barrier,
    dump,
)
from tests.fakes.shards import refused
from tests.unit.consumers.streams.coordinator_scene import (
    Process,
    World,
    one_who_has_read,
    reachable,
    run,
    unreachable,
)


def test_a_barrier_needs_every_shard() -> None:
    """Also those that another consumer reads; and all that stood before it applied."""

    async def go() -> None:
        world = World()
        names = [f"s{number}" for number in range(4)]
        for name in names:
            world.engine.shard(name)
        first, second = Process(world, "one"), Process(world, "two")
        await world.clock.until(
            lambda: (
                sorted(world.lease(name).owner for name in names) == ["one", "one", "two", "two"]
            )
        )
        second.sink.apply = first.sink.apply = False
        world.engine.write(next(n for n in names if world.lease(n).owner == "two"), "1")
        await world.clock.advance(3.0)
        world.records.put(BARRIER, "t", dump(Barrier("b1", 0)))
        await world.clock.advance(10.0)
        assert world.stream().barrier == ""
        for process in (first, second):
            for _, mark in process.sink.taken:
                mark.done = True
        await world.clock.until(lambda: world.stream().barrier == "b1", 10.0)
        assert world.stream().shards == 4
        await first.kill()
        await second.kill()

    run(go())


def test_a_barrier_waits_for_propagation() -> None:
    """No request sent within the margin after it was seen can pass it."""

    async def go() -> None:
        world = World()
        world.engine.shard("s1")
        process = Process(world, "one")
        await world.clock.advance(3.0)
        asked = world.clock.monotonic_seconds()
        world.records.put(BARRIER, "t", dump(Barrier("b1", 0)))
        await world.clock.until(lambda: world.stream().barrier == "b1", 10.0)
        assert world.clock.monotonic_seconds() - asked >= Pace().barrier_margin_seconds
        await process.kill()

    run(go())


def test_a_barrier_is_not_passed_by_a_shard_whose_children_are_not_known() -> None:
    """A shard ends only once a listing has shown what continues it, and its end is no tip."""

    async def go() -> None:
        world = World()
        world.engine.shard("p")
        world.engine.shard("q")
        process = Process(world, "one")
        await world.clock.advance(30.0)
        world.engine.faults = [refused("ThrottlingException")] * 100_000
        world.engine.before_listing = unreachable
        world.records.put(BARRIER, "t", dump(Barrier("b1", 0)))
        world.engine.split("p", "c")
        world.engine.write("c", "1")
        await world.clock.advance(10.0)
        world.engine.faults.clear()
        await world.clock.advance(60.0)
        assert world.stream().barrier == ""
        assert world.lease("p").checkpoint != "SHARD_END"
        world.engine.before_listing = reachable
        await world.clock.until(lambda: world.stream().barrier == "b1", 60.0)
        assert process.sink.names == ["1"]
        await process.kill()

    run(go())


def test_trimmed_records_break_the_coverage_durably() -> None:
    """One gap is counted, and coverage begins anew."""

    async def go() -> None:
        world, first = await one_who_has_read()
        await world.clock.advance(3.0)
        since = world.stream().unbroken_since_ms
        await first.stop()
        world.engine.write("p", "2")
        world.engine.write("p", "3")
        world.engine.trim("p", 2)
        second = Process(world, "two")
        await world.clock.until(lambda: bool(second.sink.taken))
        assert second.sink.names == ["3"]
        seen = world.stream()
        assert seen.gaps == 1
        assert seen.unbroken_since_ms > since
        await second.kill()

    run(go())


def test_a_shard_that_vanished_unread_is_a_gap_and_its_children_start() -> None:
    """After more than a day away, the engine has forgotten the parent."""

    async def go() -> None:
        world, first = await one_who_has_read()
        await first.stop()
        await world.clock.advance(90_000.0)
        world.engine.split("p", "c")
        world.engine.write("c", "2")
        del world.engine.shards["p"]
        second = Process(world, "two")
        await world.clock.until(lambda: bool(second.sink.taken), 60.0)
        assert second.sink.names == ["2"]
        assert world.stream().gaps >= 1
        await second.kill()

    run(go())


def test_a_shard_that_came_while_nobody_looked_may_have_lost_records() -> None:
    """Where nothing was heard of its parent for longer than records are kept, records of a child
    that was never seen may be gone too."""

    async def go() -> None:
        world, first = await one_who_has_read()
        await first.stop()
        await world.clock.advance(90_000.0)
        world.engine.split("p", "c")
        world.engine.write("c", "2")
        world.engine.write("c", "3")
        world.engine.trim("c", 1)
        second = Process(world, "two")
        await world.clock.until(lambda: bool(second.sink.taken), 60.0)
        assert second.sink.names == ["3"]
        assert world.stream().gaps == 1
        await second.kill()

    run(go())


def test_a_stream_that_was_switched_off_and_on_is_a_gap() -> None:
    """Its shards continue nothing that was read."""

    async def go() -> None:
        world, process = await one_who_has_read()
        await world.clock.advance(120.0)
        world.engine.shards["p"].closed = True
        world.engine.arn = "arn:two"
        world.engine.shard("q")
        world.engine.write("q", "2")
        await world.clock.until(lambda: len(process.sink.taken) == 2, 60.0)
        assert world.stream().gaps == 1
        await process.kill()

    run(go())


def test_coverage_begins_once() -> None:
    """A restart or a second consumer does not move it."""

    async def go() -> None:
        world = World()
        world.engine.shard("p")
        first = Process(world, "one")
        await world.clock.advance(3.0)
        since = world.stream().unbroken_since_ms
        assert since > 0
        second = Process(world, "two")
        await world.clock.advance(30.0)
        assert world.stream().unbroken_since_ms == since
        assert world.stream().updated_ms > since
        await first.kill()
        await second.kill()

    run(go())
