"""Segments as messages: each is offered until somebody has begun it, and no longer."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from consumers.pace import Pace
from consumers.segments import SegmentDesk
from dualwrite.core.ports import Lane
from tests.fakes.clock import VirtualClock
from tests.fakes.work_queue import MemoryLanes, MemoryQueue

PACE = Pace()
NAMES = ("t/r/0", "t/r/1", "t/r/2")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def desk(lanes: MemoryLanes, clock: VirtualClock, name: str) -> SegmentDesk:
    return SegmentDesk(MemoryQueue(lanes, name), clock, PACE)


def held(one: SegmentDesk) -> set[str]:
    return {name for name in NAMES if one.holds(name)}


def test_each_segment_falls_to_one_process() -> None:
    """No more than there are slots; what is over makes room."""

    async def go() -> None:
        lanes, clock = MemoryLanes(), VirtualClock()
        one, two = desk(lanes, clock, "one"), desk(lanes, clock, "two")
        await one.offer(NAMES)
        await one.offer(NAMES)
        await one.step(running=(), slots=2)
        await two.step(running=(), slots=2)
        assert held(one) == {"t/r/0", "t/r/1"}
        assert held(two) == {"t/r/2"}
        await one.step(running=("t/r/0",), slots=2)
        assert held(one) == {"t/r/0"}
        await one.step(running=(), slots=2)
        await two.step(running=(), slots=2)
        assert not any(lanes.waiting[Lane.SEGMENTS].values())

    run(go())


def test_an_offer_that_was_lost_is_made_again() -> None:
    """The queue lost its topics; the segment is still nobody's."""

    async def go() -> None:
        lanes, clock = MemoryLanes(), VirtualClock()
        one = desk(lanes, clock, "one")
        await one.offer(NAMES[:1])
        lanes.wipe()
        await one.offer(NAMES[:1])
        assert not lanes.waiting[Lane.SEGMENTS]
        await clock.advance(PACE.unsettled_seconds_max + 1)
        await one.offer(NAMES[:1])
        assert len(lanes.waiting[Lane.SEGMENTS]) == 1

    run(go())


def test_a_line_that_is_long_is_not_made_longer() -> None:
    """However long a segment waits there; those that were lost beside it are offered again."""

    async def go() -> None:
        lanes, clock = MemoryLanes(), VirtualClock()
        one = desk(lanes, clock, "one")
        await one.offer(NAMES)
        lost = next(iter(lanes.waiting[Lane.SEGMENTS]))
        del lanes.waiting[Lane.SEGMENTS][lost]
        for _ in range(3):
            await clock.advance(PACE.unsettled_seconds_max + 1)
            await one.step(running=(), slots=0)
            await one.offer(NAMES)
        offered = [parcel.key for parcel in lanes.waiting[Lane.SEGMENTS].values()]
        assert sorted(offered) == sorted(NAMES)

    run(go())


def test_a_segment_that_was_acknowledged_and_is_free_is_offered_again() -> None:
    """Whoever was given it could not begin it."""

    async def go() -> None:
        lanes, clock = MemoryLanes(), VirtualClock()
        one, two = desk(lanes, clock, "one"), desk(lanes, clock, "two")
        await one.offer(NAMES[:1])
        await two.step(running=(), slots=1)
        await two.step(running=(), slots=0)
        assert not lanes.waiting[Lane.SEGMENTS]
        await one.step(running=(), slots=0)
        await one.offer(NAMES[:1])
        assert len(lanes.waiting[Lane.SEGMENTS]) == 1

    run(go())


def test_who_cannot_go_on_gives_his_segments_back() -> None:
    """One that has lost its engine for a while leaves them to others."""

    async def go() -> None:
        lanes, clock = MemoryLanes(), VirtualClock()
        one, two = desk(lanes, clock, "one"), desk(lanes, clock, "two")
        await one.offer(NAMES)
        await one.step(running=(), slots=3)
        await one.failing()
        await two.step(running=(), slots=3)
        assert held(two) == set()
        await clock.advance(PACE.step_back_seconds + 1)
        await one.failing()
        await two.step(running=(), slots=3)
        assert (held(one), held(two)) == (set(), set(NAMES))

    run(go())
