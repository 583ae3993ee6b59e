"""A sweep of tables that have little capacity: nothing is given up, and it takes what is left."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from dualwrite.core.derivation import Missing, Question
from dualwrite.core.errors import Refused
from dualwrite.core.phases import Side
from tests.fakes.clock import VirtualClock
from tests.fakes.provisioned import PAGE_ITEMS_MAX, UNITS_AN_ITEM, ProvisionedTables
from tests.fakes.verifying import ListedParents, boards, text, votes
from verifier.passes import PARENT_SECONDS_MAX, LeaderChanged, Passes, Tally
from verifier.reading import TableReader
from verifier.throttling import (
    ITEMS_UNKNOWN,
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAX,
    pause_seconds,
    units_of,
)

ROWS = 1_000
CALLS_MAX = 8
MINUTES_OF_NONE = 5


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


class Scene:
    """One rekey table on an engine of so many read units a second and side."""

    def __init__(self, units_per_second: float) -> None:
        self.clock = VirtualClock()
        self.engine = ProvisionedTables(self.clock, boards(), ROWS, units_per_second)
        self.leads = True
        self.passes = Passes(
            boards(),
            Side.OLD,
            TableReader(self.engine, self.clock, calls_max=CALLS_MAX),
            ListedParents(),
            None,
            self.clock,
            leads=lambda: self.leads,
        )

    async def ended(self, work: "asyncio.Task[Tally]") -> Tally:
        await self.clock.until(work.done, 3600)
        return work.result()


def assert_all_compared(tally: Tally) -> None:
    assert tally == Tally(compared=ROWS)


def test_a_table_of_few_units_is_swept_whole() -> None:
    """Four scans of a table of 50 units ask for pages of five seconds' worth and are refused. They
    come to ask for what there is, one refusal in a few calls, and lose little time."""

    async def go() -> None:
        scene = Scene(units_per_second=50.0)
        assert_all_compared(await scene.ended(asyncio.create_task(scene.passes.run())))
        least_seconds = 2 * ROWS * UNITS_AN_ITEM / 50.0
        assert scene.clock.monotonic_seconds() < 3 * least_seconds
        assert 0 < scene.engine.refusals < scene.engine.calls / 3
        assert max(scene.engine.limits[10:]) < PAGE_ITEMS_MAX

    run(go())


def test_a_table_that_throttles_for_minutes_is_waited_for() -> None:
    """It is asked once in a while, and once it answers everything is compared."""

    async def go() -> None:
        scene = Scene(units_per_second=1_000.0)
        scene.engine.away = True
        work = asyncio.create_task(scene.passes.run())
        seconds = MINUTES_OF_NONE * 60.0
        await scene.clock.advance(seconds)
        assert not work.done()
        assert scene.engine.calls < CALLS_MAX * (seconds / PAUSE_SECONDS_MAX + 10)
        assert scene.engine.limits == []
        scene.engine.away = False
        assert_all_compared(await scene.ended(work))
        assert scene.engine.limits[0] == ITEMS_UNKNOWN

    run(go())


def test_pages_grow_again() -> None:
    """Once a table has capacity the sweep is as fast as ever."""

    async def go() -> None:
        scene = Scene(units_per_second=50.0)
        work = asyncio.create_task(scene.passes.run())
        await scene.clock.advance(20)
        for bucket in scene.engine.buckets.values():
            bucket.units_per_second = 1e6
        begun, calls = len(scene.engine.limits), scene.engine.refusals
        assert_all_compared(await scene.ended(work))
        assert max(scene.engine.limits[begun:]) > 2 * scene.engine.limits[begun]
        assert scene.engine.refusals <= calls + CALLS_MAX

    run(go())


@pytest.mark.parametrize("phase", ["scan", "compare"])
def test_nobody_waits_for_what_is_not_wanted(phase: str) -> None:
    """The lead moves while the sweep waits for capacity: it ends within a pause."""

    async def go() -> None:
        scene = Scene(units_per_second=50.0)
        if phase == "scan":
            scene.engine.away = True
        work = asyncio.create_task(scene.passes.run())
        await scene.clock.advance(0.02)
        scene.engine.away = True
        await scene.clock.advance(60)
        assert not work.done()
        scene.leads = False
        await scene.clock.advance(PAUSE_SECONDS_MAX + 1)
        with pytest.raises(LeaderChanged):
            work.result()

    run(go())


@pytest.mark.parametrize(
    ("refusals", "found", "seconds"),
    [(20, Tally(compared=1), 60.0), (10_000, Tally(errors=1), PARENT_SECONDS_MAX)],
)
def test_parents_without_capacity_are_waited_for(
    refusals: int, found: Tally, seconds: float
) -> None:
    """Their look-ups decide what a row should be. What is not answered for minutes is an error."""
    derived = text(endpoint_id="aws-1", part_id="acme", partition_key="aws-1#acme")
    vote = text(card_id="c", vote_id="v", board_id="b") | derived

    class Votes:
        async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            return {"Items": [vote] if request["Segment"] == 0 else []}

    class BusyParents(ListedParents):
        left = refusals

        async def answer(self, question: Question) -> str | Missing:
            if self.left:
                self.left -= 1
                raise Refused("ThrottlingException", "Rate exceeded", 400, {})
            return await super().answer(question)

    async def go() -> None:
        clock = VirtualClock()
        reader = TableReader(Votes(), clock, calls_max=CALLS_MAX)
        parents = BusyParents({"b": "acme-prod"})
        passes = Passes(votes(), Side.OLD, reader, parents, None, clock, leads=lambda: True)
        assert await clock.drive(passes.run()) == found
        assert seconds < clock.monotonic_seconds() < 2 * seconds

    run(go())


def test_pauses_grow_and_are_bounded() -> None:
    """Also after a night of refusals."""
    pauses = [pause_seconds(refusals) for refusals in range(1, 20_000)]
    assert pauses == sorted(pauses)
    assert pauses[0] == PAUSE_SECONDS
    assert pauses[-1] == PAUSE_SECONDS_MAX


@pytest.mark.parametrize(
    ("told", "units"),
    [
        ({"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 7.5}}, 7.5),
        ({"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 12.0}]}, 12.0),
        ({}, 2.0),
    ],
)
def test_an_answer_costs_what_it_tells(told: Mapping[str, Any], units: float) -> None:
    """Keys alone say little of what reading their items cost; an engine that tells nothing is
    charged for what it gave."""
    assert units_of(told, [text(board_id="b" * 5_000)]) == units
