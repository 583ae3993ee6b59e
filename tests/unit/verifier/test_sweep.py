"""Who owns a run: one sweeper at a time, and a dead one's run is begun again."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from dualwrite.core.errors import Refused
from dualwrite.core.phases import Phase
from dualwrite.core.records import (
    BACKFILL,
    SEGMENT,
    STREAM,
    SWEEP,
    SWEPT,
    BackfillOrder,
    Segment,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import Fault, MemoryRecords
from tests.fakes.verifying import HeldStates, ListedParents, ListedRepairs, migration
from verifier.holding import SILENCE_SECONDS
from verifier.sweep import MOVES_MAX, Sweeper


class EmptyTables:
    """A ``Dynamo`` whose tables are empty, and whose scans take as long as the test wants."""

    def __init__(self, clock: VirtualClock, seconds: float = 0.0) -> None:
        self.clock = clock
        self.seconds = seconds
        self.scans = 0

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.scans += 1
        await self.clock.sleep(self.seconds)
        return {"Items": []}


class Scene:
    """A clock, records, and as many sweepers over them as are wanted."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.records = MemoryRecords()
        self.migration = migration()
        self.epochs = HeldStates(self.migration)
        self.engine = EmptyTables(self.clock, seconds)
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, process_id: str) -> Sweeper:
        sweeper = Sweeper(
            self.engine,
            self.records,
            self.migration,
            self.epochs,
            ListedParents(),
            ListedRepairs(),
            self.clock,
            MemoryMetrics(),
            process_id=process_id,
        )
        self.tasks.append(asyncio.create_task(sweeper.run()))
        return sweeper

    def order(self, run: str = "run-1") -> None:
        self.records.put(SWEEP, "boards", dump(SweepOrder(run, 0)))

    @property
    def result(self) -> SweepResult | None:
        found = self.records.seen(SWEPT, "boards")
        return load(SweepResult, found[0].value) if found else None

    def is_done(self, run: str = "run-1") -> bool:
        return self.result is not None and self.result.run == run and self.result.done

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def test_a_run_is_carried_out_once() -> None:
    """A finished run is not begun again; a new order is."""

    async def go() -> None:
        scene = Scene()
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        scans = scene.engine.scans
        await scene.clock.advance(60)
        assert scene.engine.scans == scans
        scene.order("run-2")
        await scene.clock.until(lambda: scene.is_done("run-2"))
        await scene.end()

    asyncio.run(go())


def test_a_long_run_keeps_its_owner() -> None:
    """A result that is renewed is never taken over, however long the run takes."""

    async def go() -> None:
        scene = Scene(seconds=4 * SILENCE_SECONDS)
        scene.start("one")
        scene.start("two")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.engine.scans == 8  # four segments, two sides
        await scene.end()

    asyncio.run(go())


def test_the_run_of_a_dead_process_is_begun_again() -> None:
    """Another sweeper takes it after the silence, no sooner."""

    async def go() -> None:
        scene = Scene(seconds=4 * SILENCE_SECONDS)
        scene.start("one")
        scene.order()
        await scene.clock.until(lambda: scene.result is not None)
        scene.tasks[0].cancel()
        await asyncio.gather(scene.tasks[0], return_exceptions=True)
        begun = scene.result
        scene.engine.seconds = 0.0
        scene.start("two")
        await scene.clock.advance(SILENCE_SECONDS - 1)
        assert scene.result == begun
        await scene.clock.until(scene.is_done)
        await scene.end()

    asyncio.run(go())


def test_an_owner_that_was_robbed_writes_no_more() -> None:
    """Two sweepers never write into one result."""

    async def go() -> None:
        scene = Scene(seconds=4 * SILENCE_SECONDS)
        scene.start("one")
        scene.order()
        await scene.clock.until(lambda: scene.result is not None)
        stolen = dump(SweepResult("run-1", started_ms=7, done=True))
        scene.records.put(SWEPT, "boards", stolen)
        await scene.clock.advance(10 * SILENCE_SECONDS)
        assert scene.result is not None
        assert scene.result.started_ms == 7
        await scene.end()

    asyncio.run(go())


def test_a_renewal_that_nobody_heard_of_costs_nothing() -> None:
    """A write that was applied although its answer was lost is known again as our own."""

    async def go() -> None:
        scene = Scene(seconds=2.0)
        faults = iter([None, Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.UNREACHABLE])

        async def trouble(operation: str, kind: str, name: str) -> Fault | None:
            return next(faults, None) if (operation, kind) == ("write", SWEPT) else None

        scene.records.hook = trouble
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.engine.scans == 8
        assert scene.result is not None
        assert scene.result.clean
        await scene.end()

    asyncio.run(go())


def test_no_lease_proves_nothing() -> None:
    """A process that does not know who leads ends its run with errors, not with a verdict."""

    async def go() -> None:
        scene = Scene()
        scene.epochs.lease = False
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.errors > 0
        assert not scene.result.clean
        await scene.end()

    asyncio.run(go())


def test_a_sweep_that_breaks_proves_nothing() -> None:
    """An error nobody thought of ends the run with errors; it is not begun again for ever."""

    async def go() -> None:
        scene = Scene()

        async def broken(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            raise ValueError("nobody thought of this")

        scene.engine.call = broken  # type: ignore[method-assign]
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.errors > 0
        await scene.end()

    asyncio.run(go())


def test_a_table_without_capacity_is_waited_for() -> None:
    """For minutes, under the eyes of another sweeper: once the table answers the run ends clean,
    and nothing was given up meanwhile."""

    async def go() -> None:
        scene = Scene()
        answered = scene.engine.call
        free = False

        async def call(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            if not free:
                raise Refused("ProvisionedThroughputExceededException", "later", 400, {})
            return await answered(operation, request)

        scene.engine.call = call  # type: ignore[method-assign]
        scene.start("one")
        scene.start("two")
        scene.order()
        await scene.clock.advance(300)
        assert not scene.is_done()
        free = True
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert scene.engine.scans == 8  # four segments, two sides
        await scene.end()

    asyncio.run(go())


def test_an_unknown_table_and_an_unreachable_control_table_do_no_harm() -> None:
    """Orders that cannot be served or read are met again at the next poll."""

    async def go() -> None:
        scene = Scene()
        scene.records.put(SWEEP, "strange", dump(SweepOrder("run-1", 0)))
        scene.order()
        faults = iter([Fault.UNREACHABLE] * 3)

        async def trouble(operation: str, kind: str, name: str) -> Fault | None:
            return next(faults, None)

        scene.records.hook = trouble
        sweeper = scene.start("one")
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.phase == Phase.MIRROR_OLD.value
        await sweeper.stop()
        await scene.clock.until(scene.tasks[0].done)

    asyncio.run(go())


def losing(scene: Scene, kind: str, answers: int) -> None:
    """The next answers about a kind of records are lost once the sweep has begun."""
    faults = iter([Fault.LOST_ANSWER] * answers)

    async def trouble(operation: str, asked: str, name: str) -> Fault | None:
        reads = asked == kind and operation in {"read", "list"}
        return next(faults, None) if reads else None

    scene.records.hook = trouble


@pytest.mark.parametrize("kind", [BACKFILL, SEGMENT, STREAM])
def test_a_lost_answer_does_not_make_a_sweep_worthless(kind: str) -> None:
    """What it must know before it begins is asked again: it still counts for its backfill."""

    async def go() -> None:
        scene = Scene()
        scene.records.put(BACKFILL, "boards", dump(BackfillOrder("fill-1", "run", 1, 0)))
        scene.records.put(SEGMENT, "boards/fill-1/0000", dump(Segment(done=True)))
        losing(scene, kind, answers=2)
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert scene.result.backfill_run == "fill-1"
        await scene.end()

    asyncio.run(go())


def test_a_lapse_of_the_lease_is_no_move_of_the_lead() -> None:
    """It is told as what it is, and however often it comes the sweep is begun again: nothing that
    was compared has lost its meaning for good."""

    async def go() -> None:
        scene = Scene(seconds=2.0)
        with capture_logs() as logged:

            def reasons() -> list[str]:
                return [one["reason"] for one in logged if one["event"] == "sweep interrupted"]

            scene.start("one")
            scene.order()
            for n in range(1, MOVES_MAX + 2):
                await scene.clock.advance(1.0)
                scene.epochs.lease = False
                await scene.clock.until(lambda n=n: len(reasons()) == n)  # type: ignore[misc]
                scene.epochs.lease = True
            await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.clean
        assert reasons() == ["the lease of this process ran out"] * (MOVES_MAX + 1)
        await scene.end()

    asyncio.run(go())


def test_a_sweep_that_cannot_learn_of_its_backfill_has_failed() -> None:
    """It is no clean sweep from before the backfill, which would be a false reason."""

    async def go() -> None:
        scene = Scene()
        losing(scene, BACKFILL, answers=1000)
        scene.start("one")
        scene.order()
        await scene.clock.until(scene.is_done)
        assert scene.result is not None
        assert scene.result.errors > 0
        await scene.end()

    asyncio.run(go())
