"""The walk waits for what comes nearer and gives up on what does not."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from dualwrite.core.ports import Dynamo, Record, Records
from dualwrite.core.records import (
    BackfillOrder,
    Command,
    Segment,
    SweepOrder,
    SweepResult,
    dump,
)
from dualwrite.spec_file import load as load_spec
from examples.ai_coordination_engine.tables import SPEC
from tests.fakes.clock import VirtualClock
from verifier.rehearsal.monitor import Monitor, Seen
from verifier.rehearsal.options import Wiring, World
from verifier.rehearsal.walk import StepFailed, Walk

MIGRATION = load_spec(SPEC)
PAGES = 40
PAGE_SECONDS = 100.0


class SlowMonitor:
    """A backfill and a sweep: of each one page is done every hundred seconds, up to ``pages``."""

    def __init__(self, clock: VirtualClock, pages: int) -> None:
        self._clock = clock
        self._pages = pages
        self.seen = Seen()

    async def read_control(self) -> None:
        page = min(self._pages, int(self._clock.monotonic_seconds() / PAGE_SECONDS))
        segment = Segment(scanned=page, done=page == PAGES)
        for table in MIGRATION.by_name:
            self.seen.orders[table] = BackfillOrder("r", "run", 1, 0)
            self.seen.segments[table] = [segment]
        result = SweepResult("run", 0, compared=page, done=page == PAGES)
        self.seen.swept = dict.fromkeys(MIGRATION.by_name, result)


class Orders:
    """The control table's orders: one sweep of every table."""

    async def list(self, kind: str) -> list[Record]:
        order = dump(SweepOrder("run", 0))
        return [Record(kind, name, 1, order) for name in MIGRATION.by_name]


def walk(clock: VirtualClock, pages: int) -> Walk:
    async def ask(_world: World, command: Command, timeout_seconds: float) -> Command:
        """A sweep is at work until all is compared, and the command with it."""
        begun = clock.monotonic_seconds()
        while command.verb == "verify" and clock.monotonic_seconds() < PAGES * PAGE_SECONDS:
            if clock.monotonic_seconds() - begun >= timeout_seconds:
                return replace(command, status="running")
            await clock.sleep(1.0)
        return replace(command, status="done")

    world = World(MIGRATION, cast(Dynamo, None), cast(Records, Orders()), clock)
    wiring = Wiring(SPEC, "", lambda _url: None, ask)  # type: ignore[arg-type,return-value]
    return Walk(
        world,
        wiring,
        cast(Monitor, SlowMonitor(clock, pages)),
        dwell_seconds=0.0,
        stall_seconds_max=150.0,
        on_step=lambda _step: None,
    )


@pytest.mark.parametrize("name", ["backfill", "sweep"])
def test_a_step_may_take_as_long_as_it_moves(name: str) -> None:
    """More than an hour on a slow machine, for items are still being copied or compared; the
    command that asks for a sweep lasts as long, and is not given up either."""

    async def go() -> None:
        clock = VirtualClock()
        slow = walk(clock, PAGES)
        await clock.drive(slow.step(name, getattr(slow, name)), seconds_max=9000.0)
        assert clock.monotonic_seconds() >= PAGES * PAGE_SECONDS

    asyncio.run(go())


@pytest.mark.parametrize(
    ("name", "waited_for"), [("backfill", "the backfill is over"), ("sweep", "verify has ended")]
)
def test_a_step_that_stands_still_fails_and_says_so(name: str, waited_for: str) -> None:
    """The message names the bound and what was waited for."""

    async def go() -> None:
        clock = VirtualClock()
        stuck = walk(clock, 3)
        with pytest.raises(StepFailed, match=rf"nothing moved for 150 s, .* {waited_for}"):
            await clock.drive(stuck.step(name, getattr(stuck, name)), seconds_max=9000.0)
        assert clock.monotonic_seconds() < 600.0

    asyncio.run(go())
