"""A stream, its control table, and the consumers that share its shards."""

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
    MEMBER,
    SHARD,
    STREAM,
    Member,
    ShardLease,
    StreamProgress,
    dump,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.shards import FakeStreams


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
