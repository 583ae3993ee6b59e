"""A sweep in many hands: each part counts once, whoever dies, and nothing is proven without all."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import pytest

from dualwrite.core.errors import EngineError, Refused
from dualwrite.core.phases import Phase, Side
from dualwrite.core.ports import Lane, Parcel, Ticket
from dualwrite.core.records import (
    BACKFILL,
    SWEEP,
    SWEEP_PART,
    SWEPT,
    BackfillOrder,
    SweepOrder,
    SweepPart,
    SweepResult,
    dump,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import Fault, MemoryRecords
from tests.fakes.verifying import HeldStates, ListedParents, ListedRepairs, migration
from tests.fakes.work_queue import MemoryLanes, MemoryQueue
from verifier.holding import SILENCE_SECONDS
from verifier.parts import UNBEGUN_SECONDS_MAX, Part, PartWorker, part_of
from verifier.sweep import Sweeper

PARTS = 8
"""Four segments of two sides."""


class Tables:
    """A ``Dynamo`` whose tables are empty, as one process reaches it."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.scans: list[tuple[str, int]] = []

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.scans.append((request["TableName"], request["Segment"]))
        await self.clock.sleep(self.seconds)
        return {"Items": []}


class ToldQueue(MemoryQueue):
    """Counts what is put."""

    puts = 0

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        self.puts += len(parcels)
        return await super().put(lane, parcels)


class Scene:
    """A sweeper that shares out, and as many workers as are wanted."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords()
        self.lanes = MemoryLanes()
        self.epochs = HeldStates(migration())
        self.seconds = seconds
        self.own = Tables(self.clock, 0.0)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.queue = ToldQueue(self.lanes, "sweeper")
        sweeper = Sweeper(
            self.own, self.records, migration(), self.epochs, ListedParents(), ListedRepairs(),
            self.clock, MemoryMetrics(), process_id="sweeper", queue=self.queue,
        )  # fmt: skip
        self.tasks["sweeper"] = asyncio.create_task(sweeper.run())
        self.records.put(SWEEP, "boards", dump(SweepOrder("run-1", 0)))

    def worker(self, name: str) -> Tables:
        tables = Tables(self.clock, self.seconds)
        queue = MemoryQueue(self.lanes, name)
        worker = PartWorker(
            tables, self.records, queue, migration(), self.epochs, ListedParents(),
            ListedRepairs(), self.clock, process_id=name,
        )  # fmt: skip
        self.tasks[name] = asyncio.create_task(worker.run())
        return tables

    async def kill(self, name: str) -> None:
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await MemoryQueue(self.lanes, name).close()

    @property
    def result(self) -> SweepResult | None:
        found = self.records.seen(SWEPT, "boards")
        return load(SweepResult, found[0].value) if found else None

    def is_done(self) -> bool:
        return self.result is not None and self.result.done

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


def on_scene(scene_of: Any, test: Any) -> None:
    async def go() -> None:
        scene = scene_of()
        try:
            await test(scene)
        finally:
            await scene.end()

    asyncio.run(go())


def test_parts_fall_to_all_workers_and_each_is_done_once() -> None:
    """The sweeper itself reads nothing, and no record of a part is left behind."""

    async def go(scene: Scene) -> None:
        one, two = scene.worker("one"), scene.worker("two")
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert one.scans
        assert two.scans
        assert len({*one.scans, *two.scans}) == len(one.scans) + len(two.scans) == PARTS
        assert scene.own.scans == []
        assert scene.records.seen(SWEEP_PART) == ()
        assert not any(scene.lanes.waiting[Lane.SWEEPS].values())

    on_scene(Scene, go)


def test_a_part_in_work_for_long_keeps_its_worker() -> None:
    """However long it takes, and however often the queue tells of it."""

    async def go(scene: Scene) -> None:
        one = scene.worker("one")
        await scene.clock.until(lambda: len(one.scans) == 2)
        two = scene.worker("two")
        await scene.clock.until(lambda: len(two.scans) == 2)
        begun = [load_part(record.name) for record in scene.records.seen(SWEEP_PART)]
        await MemoryQueue(scene.lanes).put(Lane.SWEEPS, begun)
        await scene.clock.until(scene.is_done, 3600)
        assert len({*one.scans, *two.scans}) == len(one.scans) + len(two.scans) == PARTS

    def load_part(name: str) -> Parcel:
        table, sweep, place = name.split("/")
        side, number = place.split("-")
        return Part(table, sweep, Side(side), int(number), 4, 0, Side.OLD).parcel

    on_scene(lambda: Scene(seconds=8 * SILENCE_SECONDS), go)


def test_a_line_that_is_long_is_not_made_longer() -> None:
    """A part that waits on the queue is not put there again, however long it waits; when the sweep
    is over nothing of it is left to be read."""

    async def go(scene: Scene) -> None:
        one = scene.worker("one")
        await scene.clock.until(scene.is_done, 3600)
        assert scene.clock.monotonic_seconds() > 2 * UNBEGUN_SECONDS_MAX
        assert scene.queue.puts == len(one.scans) == PARTS
        assert not scene.lanes.waiting[Lane.SWEEPS]

    on_scene(lambda: Scene(seconds=40.0), go)


def test_a_sweep_of_many_parts_does_not_wear_out_the_control_table() -> None:
    """Two thousand records are looked at every five seconds, and a part whose worker is killed is
    begun anew all the same."""

    async def go(scene: Scene) -> None:
        scene.records.put(BACKFILL, "boards", dump(BackfillOrder("fill-1", "run", 1_000, 0)))
        await scene.clock.until(lambda: len(scene.lanes.waiting[Lane.SWEEPS]) == 2_000)
        scene.records.calls.clear()
        one = scene.worker("one")
        await scene.clock.advance(60)
        assert scene.records.calls.count(("list", SWEEP_PART, "boards/")) <= 13
        assert len(one.scans) > 2
        await scene.kill("one")
        begun = {tuple(scan) for scan in one.scans}
        two = scene.worker("two")
        await scene.clock.until(lambda: bool(begun & {tuple(scan) for scan in two.scans}))
        assert scene.queue.puts == 2_000

    on_scene(lambda: Scene(seconds=20.0), go)


def test_what_is_left_of_a_sweep_that_is_over_is_not_compared() -> None:
    """Nor of an attempt that was given up: its messages are acknowledged without a look."""

    async def go(scene: Scene) -> None:
        await scene.clock.until(lambda: len(scene.lanes.waiting[Lane.SWEEPS]) == PARTS)
        left = [*scene.lanes.waiting[Lane.SWEEPS].values()]
        scene.epochs.lease = False  # what was begun is begun again under the same leader
        await scene.clock.advance(1.0)
        scene.epochs.lease = True
        await scene.clock.until(lambda: len(scene.lanes.waiting[Lane.SWEEPS]) == 2 * PARTS)
        one = scene.worker("one")
        await scene.clock.until(scene.is_done)
        assert len(one.scans) == PARTS
        await scene.queue.put(Lane.SWEEPS, left)
        await scene.clock.advance(60)
        assert len(one.scans) == PARTS
        assert not scene.lanes.waiting[Lane.SWEEPS]

    on_scene(Scene, go)


def test_what_was_acknowledged_and_not_done_is_offered_again() -> None:
    """A worker whose lease was out, or that broke, leaves parts that no message tells of."""

    async def go(scene: Scene) -> None:
        lazy = MemoryQueue(scene.lanes, "lazy")
        await scene.clock.until(lambda: bool(scene.lanes.waiting[Lane.SWEEPS]))
        jobs = await lazy.take(Lane.SWEEPS, PARTS)
        begun = scene.records.seen(SWEEP_PART)[0]
        scene.records.put(SWEEP_PART, begun.name, dump(SweepPart("lazy", 1)))
        await lazy.ack(jobs)
        one = scene.worker("one")
        await scene.clock.until(lambda: len(one.scans) == 1)
        assert scene.clock.monotonic_seconds() < 2 * SILENCE_SECONDS + 5
        await scene.clock.until(scene.is_done)
        assert scene.queue.puts == 2 * PARTS

    on_scene(Scene, go)


def test_a_sweeper_whose_parts_were_removed_is_not_in_the_way() -> None:
    """Another began a sweep of the table while this process stood still: nothing of the old one is
    put again, and it proves nothing."""

    async def go(scene: Scene) -> None:
        await scene.clock.until(lambda: len(scene.lanes.waiting[Lane.SWEEPS]) == PARTS)
        for record in scene.records.seen(SWEEP_PART):
            scene.records.forget(SWEEP_PART, record.name)
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert not scene.result.clean
        assert scene.queue.puts == PARTS
        assert scene.records.seen(SWEEP_PART) == ()

    on_scene(Scene, go)


def test_a_control_table_that_fails_for_a_while_costs_time() -> None:
    """Records of parts that could not be made or seen are made and seen later, and one whose making
    nobody heard of is known again."""

    async def go(scene: Scene) -> None:
        faults = cycle([Fault.UNREACHABLE, Fault.LOST_ANSWER, Fault.LOST_REQUEST, None, None])

        async def trouble(operation: str, kind: str, name: str) -> Fault | None:
            return next(faults) if kind == SWEEP_PART else None

        scene.records.hook = trouble
        await scene.clock.advance(20)
        scene.records.hook = None
        one = scene.worker("one")
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert scene.queue.puts == len(one.scans) == PARTS

    on_scene(Scene, go)


def test_the_parts_of_a_killed_worker_are_begun_anew() -> None:
    """By another, after the silence; a part of nobody counts nothing. The queue gives him what it
    has still, so nothing is put there again."""

    async def go(scene: Scene) -> None:
        one = scene.worker("one")
        await scene.clock.until(lambda: len(one.scans) == 2)
        await scene.kill("one")
        scene.seconds = 0.1
        two = scene.worker("two")
        await scene.clock.until(scene.is_done)
        assert len(two.scans) == scene.queue.puts == PARTS
        assert scene.result is not None
        assert scene.result.clean

    on_scene(lambda: Scene(seconds=8 * SILENCE_SECONDS), go)


def test_a_queue_that_loses_all_it_held_costs_time() -> None:
    """What nobody has begun is put there again, also after the queue was away for a while."""

    async def go(scene: Scene) -> None:
        await scene.clock.until(lambda: bool(scene.lanes.waiting[Lane.SWEEPS]))
        scene.lanes.wipe()
        scene.worker("one")
        scene.lanes.away = True
        await scene.clock.advance(UNBEGUN_SECONDS_MAX)
        scene.lanes.away = False
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean

    on_scene(Scene, go)


def test_without_workers_nothing_is_proven() -> None:
    """The run stays unfinished; it is not clean."""

    async def go(scene: Scene) -> None:
        await scene.clock.advance(600)
        assert scene.result is not None
        assert not scene.result.clean

    on_scene(Scene, go)


def test_what_was_compared_under_another_leader_does_not_count() -> None:
    """The lead moves while parts are in work: the run begins again, or ends with errors."""

    async def go(scene: Scene) -> None:
        one = scene.worker("one")
        await scene.clock.until(lambda: len(one.scans) == 2)
        scene.epochs.move("boards", Phase.ATOMIC_NEW)
        scene.seconds = one.seconds = 0.1
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert scene.result.phase == Phase.ATOMIC_NEW.value
        assert len(one.scans) >= PARTS + 2

    on_scene(lambda: Scene(seconds=5.0), go)


def test_a_part_that_waits_for_capacity_ends_with_its_sweep() -> None:
    """It keeps its worker for as long as it is wanted, and nobody asks the table after that."""

    async def go(scene: Scene) -> None:
        tables = scene.worker("one")
        calls = 0

        async def call(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            raise Refused("ThrottlingException", "Rate exceeded", 400, {})

        tables.call = call  # type: ignore[method-assign]
        await scene.clock.advance(600)
        assert scene.queue.puts == PARTS
        assert not scene.is_done()
        await scene.kill("sweeper")
        for record in scene.records.seen(SWEEP_PART):
            scene.records.forget(SWEEP_PART, record.name)
        await scene.clock.advance(10)
        asked = calls
        await scene.clock.advance(600)
        assert calls == asked
        assert not scene.lanes.waiting[Lane.SWEEPS]

    on_scene(Scene, go)


def test_an_error_in_one_part_proves_nothing_for_all() -> None:
    """A worker whose reads fail says so, in the result of the whole."""

    async def go(scene: Scene) -> None:
        tables = scene.worker("one")

        async def call(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if request["Segment"] == 3:
                raise EngineError("no answer")
            return {"Items": []}

        tables.call = call  # type: ignore[method-assign]
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.errors == 2
        assert not scene.result.clean

    on_scene(Scene, go)


@pytest.mark.parametrize("body", [{}, {"table": "boards"}, {"side": "left"}])
def test_a_message_that_is_no_part_harms_nobody(body: Mapping[str, Any]) -> None:
    """It is acknowledged, and the parts are worked on."""

    async def go(scene: Scene) -> None:
        whole = Part("boards", "s", Side.OLD, 0, 4, 0, Side.OLD).parcel.body
        strange = {**whole, **body} if "side" in body else body
        with pytest.raises(ValueError, match=r"part|left"):
            part_of(strange)
        await MemoryQueue(scene.lanes).put(Lane.SWEEPS, [Parcel("x", strange)])
        scene.worker("one")
        await scene.clock.until(scene.is_done)
        assert not any(scene.lanes.waiting[Lane.SWEEPS].values())

    on_scene(Scene, go)
