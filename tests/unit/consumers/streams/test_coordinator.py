"""Consumers share shards: lineage, leases, take-over, gaps and evidence."""

import asyncio
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

from consumers.changes import Change
from consumers.effort import Effort
from consumers.members import Consumers
from consumers.pace import Pace
from consumers.prefix import Mark
from consumers.streams.coordinator import Streams
from consumers.streams.shards import StreamName
from dualwrite.core.errors import Unreachable
from dualwrite.core.phases import Side
from dualwrite.core.records import (
    BARRIER,
    MEMBER,
    SHARD,
    STREAM,
    Barrier,
    Member,
    ShardLease,
    StreamProgress,
    dump,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.shards import FakeStreams, refused


class Sink:
    """Stands for the applier: remembers what it took, and applies it when told."""

    def __init__(self) -> None:
        self.lagging: set[Side] = set()
        self.taken: list[tuple[str, Mark]] = []
        self.apply = True

    async def take(self, side: Side, records: Sequence[tuple[Change, Mark]]) -> None:
        for change, mark in records:
            self.taken.append((change.keys["id"]["S"], mark))
            mark.done = self.apply

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.taken]


class Process:
    """One consumer's streams, stepped now and then as the consumer does."""

    def __init__(self, world: "World", name: str) -> None:
        self.sink = Sink()
        self.name = name
        self.world = world
        pace = Pace()
        self.streams = Streams(
            world.engine, world.records, {StreamName("t", Side.OLD): "t"},
            {"t": self.sink}, Consumers(world.clock, name), world.flush,
            world.clock,
            MemoryMetrics(), Effort(world.clock, Random(name), pace), pace,
        )  # fmt: skip
        self.alive = True
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        counter = 0
        while True:
            counter += 1
            if self.alive:
                member = Member("consumer", 0, counter, 3.0)
                self.world.records.put(MEMBER, self.name, dump(member))
                await self.streams.step()
            await self.world.clock.sleep(0.5)

    async def stop(self) -> None:
        """In order, as on SIGTERM."""
        self.task.cancel()
        await self.streams.stop()
        self.world.records.forget(MEMBER, self.name)

    async def kill(self) -> None:
        """As SIGKILL does: it neither renews nor releases anything."""
        self.task.cancel()
        for held in self.streams._held.values():
            if held.task is not None:
                held.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.engine = FakeStreams()
        self.records = MemoryRecords()

    async def flush(self) -> None:
        pass

    def lease(self, shard: str) -> ShardLease:
        [found] = [r for r in self.records.seen(SHARD) if r.name == f"t/old/{shard}"]
        return load(ShardLease, found.value)

    def stream(self) -> StreamProgress:
        [found] = self.records.seen(STREAM)
        return load(StreamProgress, found.value)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def unreachable() -> None:
    raise Unreachable("no connection")


async def reachable() -> None:
    return


async def one_who_has_read() -> tuple[World, Process]:
    """A stream of one shard, and a consumer that has read its first record."""
    world = World()
    world.engine.shard("p")
    process = Process(world, "one")
    world.engine.write("p", "1")
    await world.clock.until(lambda: process.sink.names == ["1"])
    return world, process


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
