"""Backfills and sweeps are ordered when they may be, and each once."""

import asyncio
from dataclasses import replace

import pytest

from dualwrite.control.commands import ALL, ask
from dualwrite.core.backfills import TableSize, segment_name
from dualwrite.core.phases import Phase
from dualwrite.core.records import (
    BACKFILL,
    SEGMENT,
    SWEEP,
    SWEPT,
    BackfillOrder,
    Command,
    Segment,
    SweepOrder,
    SweepResult,
    dump,
    load,
)
from tests.unit.control.scene import put_state
from tests.unit.control.stage import Stage, on_stage, outcome_of


def test_a_backfill_is_ordered_when_its_gates_are_open() -> None:
    """What it copies too early is cured by the streams, so it waits for them, then starts."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        stage.gates.close("moved", "copy", waits=True)
        refused = await stage.asked("backfill-start", "moved", "segments=8 reads=500")
        assert refused.status == "refused"
        assert refused.gates[0]["gate"] == "fake-gate"
        assert stage.records.seen(BACKFILL) == ()
        stage.gates.closed.clear()
        outcome = await stage.asked("backfill-start", "moved", "segments=8 reads=500")
        assert outcome.status == "done", outcome.message
        [record] = stage.records.seen(BACKFILL)
        order = load(BackfillOrder, record.value)
        assert (order.wanted, order.segments, order.read_units_per_second_max) == ("run", 8, 500.0)

    on_stage(go)


def test_a_backfill_is_paused_and_resumed_and_not_begun_twice() -> None:
    """Starting again while it runs leaves it alone."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.controller()
        assert (await stage.asked("backfill-start")).status == "done"
        before = stage.records.seen(BACKFILL)
        assert len(before) == 3
        again = await stage.asked("backfill-start")
        assert "not over yet" in again.message
        assert stage.records.seen(BACKFILL) == before
        for verb, wanted in (("backfill-pause", "pause"), ("backfill-resume", "run")):
            assert (await stage.asked(verb)).status == "done"
            assert {r.value["wanted"] for r in stage.records.seen(BACKFILL)} == {wanted}

    on_stage(go)


def test_the_split_is_chosen_by_the_tables_size_and_changed_while_it_runs() -> None:
    """Another number of segments is another split, whose segments begin anew; other bounds are
    none; saying the same again changes nothing; and nobody changes what is over."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.MIRROR_OLD)
        stage.sizes.told = TableSize(items=9_000_001, bytes=5)
        stage.controller()
        assert (await stage.asked("backfill-start", "moved")).status == "done"

        def order() -> BackfillOrder:
            [record] = stage.records.seen(BACKFILL)
            return load(BackfillOrder, record.value)

        begun = order()
        assert (begun.segments, begun.items_estimate, begun.bytes_estimate) == (10, 9_000_001, 5)
        stage.records.put(SEGMENT, segment_name("moved", begun, 3), dump(Segment(done=True)))
        changed = await stage.asked("backfill-change", "moved", "writes=50 together=20")
        assert changed.status == "done", changed.message
        assert order() == replace(begun, write_units_per_second_max=50.0, items_together=20)
        assert len(stage.records.seen(SEGMENT)) == 1
        for _ in range(2):
            assert (await stage.asked("backfill-change", "moved", "segments=2")).status == "done"
            assert (order().segments, order().split, order().run) == (2, 1, begun.run)
            assert stage.records.seen(SEGMENT) == ()
        for number in range(2):
            stage.records.put(
                SEGMENT, segment_name("moved", order(), number), dump(Segment(done=True))
            )
        over = await stage.asked("backfill-change", "moved", "segments=5")
        assert (over.status, order().split) == ("failed", 1)

    on_stage(go)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "clean, 7 compared"),
        ({"missing": 2}, "2 missing"),
        ({"errors": 1}, "nothing is proven"),
    ],
)
def test_verify_ends_with_what_the_sweep_found(found: dict[str, int], words: str) -> None:
    """And keeps no other command waiting while it is swept."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        await stage.clock.until(lambda: bool(stage.records.seen(SWEEP)))
        assert (await stage.asked("shadow", "moved", "5")).status == "done"
        assert not asking.done()
        [order] = stage.records.seen(SWEEP)
        result = SweepResult(load(SweepOrder, order.value).run, 1, 2, True, compared=7)
        stage.records.put(SWEPT, "moved", dump(replace(result, **found)))  # type: ignore[arg-type]
        outcome = await stage.clock.drive(outcome_of(asking))
        assert outcome.status == "done"
        assert words in outcome.message

    on_stage(go)


def test_verify_orders_a_sweep_of_what_is_kept_equal() -> None:
    """In done, too, a table that is changed in place, for whoever upserts its items does not give
    them their derived attributes; a table of two sides no more."""

    async def go(stage: Stage) -> None:
        stage.everywhere(Phase.DONE, stays=Phase.DONE)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", ALL), timeout_seconds=300)
        )
        await stage.clock.until(lambda: bool(stage.records.seen(SWEEP)))
        [order] = stage.records.seen(SWEEP)
        assert order.name == "stays"
        asking.cancel()

    on_stage(go)


def test_a_newer_verify_takes_the_place_of_an_older_one() -> None:
    """The older one fails and says so."""

    async def go(stage: Stage) -> None:
        put_state(stage.records, 1, Phase.MIRROR_OLD)
        stage.controller()
        asking = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        await stage.clock.until(lambda: bool(stage.records.seen(SWEEP)))
        newer = asyncio.create_task(
            ask(stage.records, stage.clock, Command("verify", "moved"), timeout_seconds=300)
        )
        outcome = await stage.clock.drive(outcome_of(asking))
        assert outcome.status == "failed"
        assert "newer sweep" in outcome.message
        newer.cancel()

    on_stage(go)
