"""A meter keeps to the operator's bound, yields to an engine that throttles, and recovers."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from dualwrite.rate import CUT_SECONDS, Meter, read_units, write_units
from tests.fakes.clock import VirtualClock

CALL = 10.0


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def spent(meter: Meter, clock: VirtualClock, per_second: float, seconds: float) -> float:
    """Units that go through in so many seconds, in calls that take 10 ms."""
    total = 0.0
    until = clock.monotonic_seconds() + seconds

    async def work() -> None:
        nonlocal total
        while clock.monotonic_seconds() < until:
            await meter.ready(per_second)
            meter.spend(CALL)
            total += CALL
            await clock.sleep(0.01)

    await clock.drive(work())
    return total


def test_the_operators_bound_holds() -> None:
    """Over many seconds not more goes through, and not much less; without a bound all does."""

    async def go() -> None:
        clock = VirtualClock()
        meter = Meter(clock)
        assert 900 <= await spent(meter, clock, 100.0, 10) <= 1000 + 2 * CALL
        assert await spent(meter, clock, 0.0, 10) >= 9_900

    run(go())


def test_throttling_halves_the_pace_and_quiet_gives_it_back() -> None:
    """From what was really spent, once for calls that were in flight together."""

    async def go() -> None:
        clock = VirtualClock()
        meter = Meter(clock)
        before = await spent(meter, clock, 0.0, 5) / 5
        assert meter.throttled()
        assert not meter.throttled()
        assert 0.4 * before < meter.bound(0.0) < 0.6 * before
        await clock.advance(CUT_SECONDS)
        assert meter.throttled()
        slow = meter.bound(0.0)
        assert slow < 0.3 * before
        assert await spent(meter, clock, 0.0, 1) < 0.4 * before
        await clock.advance(10)
        assert meter.bound(0.0) > before
        await clock.advance(60)
        assert meter.bound(0.0) == 0.0

    run(go())


def test_the_lower_of_both_bounds_counts() -> None:
    """An engine that bears more is no reason to pass the operator's bound."""

    async def go() -> None:
        clock = VirtualClock()
        meter = Meter(clock)
        await spent(meter, clock, 0.0, 3)
        meter.throttled()
        assert meter.bound(5.0) == 5.0
        assert meter.bound(1e6) < 1e6

    run(go())


def test_it_never_comes_to_a_stand() -> None:
    """However often it is throttled, something is tried."""

    async def go() -> None:
        clock = VirtualClock()
        meter = Meter(clock)
        for _ in range(50):
            meter.throttled()
            await clock.advance(CUT_SECONDS)
        assert meter.bound(0.0) >= 1.0
        await clock.drive(meter.ready(0.0))

    run(go())


def test_units_are_those_of_aws() -> None:
    """Reads of a page add up to steps of 4 KB; each write is a step of 1 KB, twice in one
    transaction."""
    item = {"k": {"S": "x" * 1500}}
    assert read_units([item] * 2) == 1
    assert read_units([item] * 3) == 2
    assert read_units([]) == 1
    assert write_units([item] * 3) == 6
    assert write_units([item] * 3, in_transactions=True) == 12
