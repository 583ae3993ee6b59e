"""Consumers on a real engine: whatever is written to either side, the follower ends equal."""

import json
from typing import Any

import pytest

from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import (
    BARRIER,
    BYPASS,
    QUARANTINE,
    QUARANTINE_PIECE,
    Barrier,
    Bypass,
    dump,
    load,
)
from dualwrite.core.transform import Row, row_from_client
from tests.consumer_harness import World, note, run


@pytest.fixture
def world(engine: str, boto: Any, table_prefix: str) -> World:
    return World(engine, boto, table_prefix)


def test_a_write_that_missed_the_follower_reaches_it(world: World) -> None:
    """A leader's record without its counterpart is cured by reading."""

    async def go() -> None:
        async with world.consuming():
            world.mirrored(world.notes, note(1, title="one"), Side.OLD)
            await world.until(
                lambda: world.equal(world.notes) and bool(world.items(world.notes, Side.NEW))
            )

    run(go())


def test_mirrored_writes_are_proven_without_a_read(world: World) -> None:
    """Two records of one write prove its key clean: not one item is read for it."""

    async def go() -> None:
        dynamo = world.wire()
        async with world.consuming(world.consumer(dynamo=dynamo)):
            for number in range(60):
                world.mirrored(world.notes, note(number % 40, title=f"t{number}"))
            for number in range(10):
                item = note(number)
                row = row_from_client(world.notes, item, Side.OLD)
                assert isinstance(row, Row)
                world.delete(world.notes, Side.OLD, row.stored(Side.OLD))
                world.delete(world.notes, Side.NEW, row.stored(Side.NEW))
            await world.drained()
            assert world.equal(world.notes)
            assert dynamo.calls["GetItem"] == dynamo.calls["BatchGetItem"] == 0
            assert dynamo.calls["PutItem"] == dynamo.calls["DeleteItem"] == 0

    run(go())


def test_a_stale_put_on_the_follower_is_cured(world: World) -> None:
    """The follower's own record is the trigger that undoes a delayed stale write."""

    async def go() -> None:
        async with world.consuming():
            stale = world.row(world.notes, note(1, title="stale"))
            world.mirrored(world.notes, note(1, title="fresh"))
            await world.drained()
            world.put(world.notes, Side.NEW, stale.stored(Side.NEW))
            world.put(world.notes, Side.NEW, world.row(world.notes, note(2)).stored(Side.NEW))
            await world.until(lambda: world.equal(world.notes))

    run(go())


def test_a_write_past_the_proxy_is_copied_and_counted(world: World) -> None:
    """Replicated like any other, counted once, durable; TTL and the proxy's own are not."""

    async def go() -> None:
        # Streams give whole seconds here, so the order is an old one.
        world.order_backfill(world.notes, asked_ms=1)
        async with world.consuming():
            await world.until(lambda: world.backfilled(world.notes))
            row = world.mirrored(world.notes, note(1, title="by the proxy"))
            await world.drained()
            world.put(world.notes, Side.OLD, row.stored(Side.OLD) | {"title": {"S": "past it"}})
            await world.until(lambda: world.equal(world.notes) and bool(world.records.seen(BYPASS)))
            await world.drained()
        assert load(Bypass, world.records.seen(BYPASS)[0].value).count == 1
        assert world.metric(metric_names.BYPASS_WRITES, "notes") == 1

    run(go())


def test_reverse_direction_uses_the_same_code(world: World) -> None:
    """In mirror/new, old is the follower."""

    async def go() -> None:
        world.set_phase(world.notes, Phase.MIRROR_NEW)
        async with world.consuming():
            world.mirrored(world.notes, note(1, title="one"), Side.NEW)
            gone = world.mirrored(world.notes, note(2, title="two"))
            await world.drained()
            world.delete(world.notes, Side.NEW, gone.stored(Side.NEW))
            await world.until(
                lambda: (
                    world.equal(world.notes, Side.NEW)
                    and len(world.items(world.notes, Side.OLD)) == 1
                )
            )

    run(go())


def images(world: World) -> dict[str, Any]:
    """The images of the one write in quarantine."""
    [kept] = world.records.seen(QUARANTINE)
    if "pieces" not in kept.value:
        return dict(kept.value)
    pieces = world.records.seen(QUARANTINE_PIECE, f"{kept.name}/")
    assert len(pieces) == kept.value["pieces"]
    return dict(json.loads("".join(piece.value["json"] for piece in pieces)))


@pytest.mark.parametrize("amount", [1, 100_000], ids=["small", "as large as an item may be"])
def test_a_straggler_is_quarantined_whole_and_undone(world: World, amount: int) -> None:
    """A write from before the lead moved, seen on old afterwards, is kept and then cured; also
    where its images are too large for one record."""

    async def go() -> None:
        many = {"numbers": {"L": [{"N": "1"}] * amount}}
        straggler = world.row(world.notes, note(1, title="straggler"))
        fresh = world.row(world.notes, note(1, title='"fresh"') | many)
        world.set_phase(world.notes, Phase.MIRROR_NEW, epoch=5)
        async with world.consuming():
            world.put(world.notes, Side.NEW, fresh.stored(Side.NEW))
            world.put(world.notes, Side.OLD, fresh.stored(Side.OLD))
            await world.drained()
            late = world.row(world.notes, note(1, title="straggler") | many)
            world.put(world.notes, Side.OLD, late.stored(Side.OLD))
            await world.until(lambda: world.equal(world.notes, Side.NEW))
        kept = images(world)
        assert kept["straggler"] == late.stored(Side.OLD)
        assert kept["leader"] == fresh.stored(Side.NEW)
        assert straggler.stamp != late.stamp

    run(go())


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.DONE])
def test_in_place_rows_get_what_they_lack(world: World, phase: Phase) -> None:
    """Derived attributes are set through the parent, in `done`, too, where an upsert gives none;
    orphans are listed and left as they are."""

    async def go() -> None:
        world.set_phase(world.steps, phase)
        world.mirrored(
            world.tasks,
            {"list_id": {"S": "l1"}, "task_id": {"S": "t1"}, "endpoint_id": {"S": "acme-prod"}},
        )
        step = {"task_id": {"S": "t1"}, "step_id": {"S": "s1"}, "list_id": {"S": "l1"}}
        orphan = {"task_id": {"S": "t9"}, "step_id": {"S": "s1"}, "list_id": {"S": "l9"}}
        async with world.consuming():
            world.put(world.steps, Side.OLD, step)
            world.put(world.steps, Side.OLD, orphan)
            await world.until(
                lambda: (
                    (world.item(world.steps, Side.OLD, step) or {}).get("partition_key")
                    == {"S": "aws-1#acme"}
                )
            )
            await world.drained()
        assert world.item(world.steps, Side.OLD, orphan) == orphan
        [listed] = world.listed()
        assert listed.reason.startswith("orphan")

    run(go())


def test_a_barrier_is_passed_on_both_sides(world: World) -> None:
    """Once all that stood on the streams is applied, the evidence names the barrier."""

    async def go() -> None:
        async with world.consuming():
            for number in range(20):
                world.mirrored(world.notes, note(number), Side.OLD)
            world.records.put(BARRIER, "notes", dump(Barrier("b1", 0)))

            def passed() -> bool:
                seen = [world.stream(world.notes, side) for side in Side]
                return all(one is not None and one.barrier == "b1" for one in seen)

            await world.until(passed)
            assert world.equal(world.notes)
            found = world.stream(world.tasks, Side.OLD)
            assert found is not None
            assert found.barrier == ""

    run(go())


def test_an_unmappable_row_is_listed_until_it_goes(world: World) -> None:
    """A row whose key has no place on new stays on old, listed; its removal unlists it."""

    async def go() -> None:
        strange = note(1, tenant="nobody")
        async with world.consuming():
            world.put(world.notes, Side.OLD, strange)
            await world.until(lambda: bool(world.listed()))
            [listed] = world.listed()
            assert listed.reason.startswith("unmapped")
            world.delete(world.notes, Side.OLD, strange)
            await world.until(lambda: not world.listed())
        assert not world.items(world.notes, Side.NEW)

    run(go())


def test_keys_that_cannot_be_made_equal_block_no_others(world: World) -> None:
    """Between rows of which every second one has no place on new, the others get there, and the
    checkpoint passes all of them."""

    async def go() -> None:
        async with world.consuming():
            for number in range(20):
                world.put(world.notes, Side.OLD, note(number, tenant="nobody"))
                world.mirrored(world.notes, note(number), Side.OLD)
            await world.until(lambda: len(world.items(world.notes, Side.NEW)) == 20)
            await world.drained()
        assert len(world.listed()) == 20
        seen = world.stream(world.notes, Side.OLD)
        assert seen is not None
        assert seen.lag_records == 0

    run(go())


def test_a_waiting_repair_is_made_and_forgotten(world: World) -> None:
    """What the proxy queued, in either side's words, is reconciled and leaves the queue."""

    async def go() -> None:
        row = world.mirrored(world.notes, note(1, title="one"), Side.OLD)
        await world.repairs.put("notes", Side.NEW, '[["S","aws-1#acme"],["S","n00001"]]', "unknown")
        async with world.consuming():
            await world.until(lambda: not world.records.seen("repair"))
        assert world.item(world.notes, Side.NEW, row.stored(Side.NEW)) == row.stored(Side.NEW)

    run(go())
