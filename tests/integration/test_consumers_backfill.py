"""The backfill on a real engine: complete, resumable, and never over what is newer."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from dualwrite.core import metric_names
from dualwrite.core.errors import THROTTLED, Refused
from dualwrite.core.items import Item, stamp_of
from dualwrite.core.phases import Phase, Side
from dualwrite.core.stamps import FLOOR
from tests.consumer_harness import Life, Mortal, World, note, run


@pytest.fixture
def world(engine: str, boto: Any, table_prefix: str) -> World:
    return World(engine, boto, table_prefix)


def fill(world: World, count: int) -> None:
    for number in range(count):
        world.put(world.notes, Side.OLD, note(number, title=f"t{number}"))


@pytest.mark.parametrize("together", [1, 20])
def test_everything_is_copied_and_proven_by_the_streams(world: World, together: int) -> None:
    """All rows reach new under the floor stamp, and their records need no read, given time to find
    each other; one by one, and many in a transaction."""
    world.pace = replace(world.pace, match_seconds=30.0, match_lagging_seconds=30.0)

    async def go() -> None:
        fill(world, 100)
        dynamo = world.wire()
        world.epochs.default = type(world.epochs.default)("", 1, Phase.OFF)
        async with world.consuming(world.consumer(dynamo=dynamo)):
            await world.drained()
            world.set_phase(world.notes, Phase.MIRROR_OLD)
            world.order_backfill(world.notes, together=together)
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
            assert (dynamo.calls["TransactWriteItems"] > 0) is (together > 1)
            assert dynamo.calls["GetItem"] == dynamo.calls["BatchGetItem"] == 0
        assert world.equal(world.notes)
        assert {stamp_of(item) for item in world.items(world.notes, Side.NEW).values()} == {FLOOR}
        assert sum(one.copied for one in world.segments(world.notes)) == 100
        assert world.metric(metric_names.BACKFILL_ITEMS, "notes", "copied") == 100
        assert world.metric(metric_names.BACKFILL_SHARE, "notes") == 1.0

    run(go())


@pytest.mark.parametrize("together", [1, 20])
def test_what_is_newer_stays(world: World, together: int) -> None:
    """A write that reached new before the backfill came is present, and not overwritten; in a
    transaction it does not keep the others from being copied."""

    async def go() -> None:
        fill(world, 10)
        row = world.mirrored(world.notes, note(3, title="newer"))
        world.order_backfill(world.notes, together=together)
        async with world.consuming():
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
        assert world.item(world.notes, Side.NEW, row.stored(Side.NEW)) == row.stored(Side.NEW)
        assert world.equal(world.notes)
        assert sum(one.present for one in world.segments(world.notes)) >= 1

    run(go())


class Between:
    """Deletes a row on both sides between its scan, or its first write, and the copy."""

    def __init__(self, world: World, doomed: Item) -> None:
        self.world = world
        self.doomed = world.row(world.notes, doomed)
        self.done = False

    async def __call__(self, operation: str, request: Mapping[str, Any]) -> None:
        puts = [member.get("Put", {}) for member in request.get("TransactItems", ())]
        items = [put.get("Item", {}) for put in (request, *puts)]
        mine = any(item.get("note_id") == self.doomed.body["note_id"] for item in items)
        if operation in ("PutItem", "TransactWriteItems") and mine and not self.done:
            self.done = True
            for side in Side:
                stored = self.doomed.stored(side)
                await asyncio.to_thread(self.world.delete, self.world.notes, side, stored)


@pytest.mark.parametrize("together", [1, 20])
def test_a_row_deleted_while_it_is_copied_ends_on_neither_side(world: World, together: int) -> None:
    """The copy that brings a deleted row back is removed through its own stream record."""

    async def go() -> None:
        fill(world, 10)
        dynamo = world.wire()
        dynamo.before = between = Between(world, note(4))
        world.order_backfill(world.notes, together=together)
        async with world.consuming(world.consumer(dynamo=dynamo)):
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
            await world.drained()
        assert between.done
        assert world.equal(world.notes)
        assert len(world.items(world.notes, Side.NEW)) == 9

    run(go())


def test_rows_that_cannot_be_mapped_are_left_and_listed(world: World) -> None:
    """They are counted by segment, and each is listed with its reason."""

    async def go() -> None:
        fill(world, 5)
        world.put(world.notes, Side.OLD, note(1, tenant="nobody"))
        world.put(world.notes, Side.OLD, note(1, tenant="a#b"))
        world.order_backfill(world.notes)
        async with world.consuming():
            await world.until(lambda: world.backfilled(world.notes))
        assert sum(one.left for one in world.segments(world.notes)) == 2
        reasons = {repair.reason.split(":")[0] for repair in world.listed()}
        assert reasons == {"unmapped", "separator"}
        assert world.equal(world.notes)

    run(go())


def test_a_pause_holds_and_a_new_consumer_goes_on_from_the_checkpoint(world: World) -> None:
    """A paused backfill stands at its checkpoints; whoever resumes it scans only the rest."""

    async def go() -> None:
        fill(world, 200)
        world.order_backfill(world.notes, writes=200.0)
        async with world.consuming(world.consumer("one")):
            await world.until(lambda: any(one.scanned for one in world.segments(world.notes)))
            world.order_backfill(world.notes, wanted="pause")
            await world.until(lambda: all(not s.owner for s in world.segments(world.notes)))
        before = world.segments(world.notes)
        assert not all(one.done for one in before)
        world.order_backfill(world.notes)
        async with world.consuming(world.consumer("two")):
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
        assert sum(one.scanned for one in world.segments(world.notes)) == 200
        assert world.equal(world.notes)

    run(go())


def test_a_killed_consumers_segments_are_taken_over(world: World) -> None:
    """A lease that stands still is another's; nothing is lost, and each page counts once."""

    async def go() -> None:
        fill(world, 120)
        life = Life()
        dynamo = world.wire()

        async def dies(operation: str, request: Mapping[str, Any]) -> None:
            if operation == "PutItem" and dynamo.calls["PutItem"] > 30:
                life.over = True
            life.check()

        dynamo.before = dies
        world.order_backfill(world.notes)
        first = world.consumer("doomed", dynamo=dynamo, records=Mortal(world.records, life))
        async with world.consuming(first):
            await world.until(lambda: life.over)
            async with world.consuming(world.consumer("heir")):
                await world.until(lambda: world.backfilled(world.notes))
                await world.drained()
        assert sum(one.scanned for one in world.segments(world.notes)) == 120
        assert world.equal(world.notes)

    run(go())


@pytest.mark.parametrize("together", [1, 20])
def test_a_page_that_breaks_off_goes_on_where_it_was(world: World, together: int) -> None:
    """A process whose lease runs out again and again in the middle of a page ends it all the same:
    what was copied before is looked at, and not written once more. It keeps its segment, and
    nothing is told of a pause; the end is told once, by who saw it come."""

    async def go() -> None:
        fill(world, 120)
        dynamo = world.wire()
        copied: Counter[str] = Counter()
        breaks = itertools.count(1)

        async def breaks_off(operation: str, request: Mapping[str, Any]) -> None:
            puts = [part["Put"] for part in request.get("TransactItems", ()) if "Put" in part]
            if operation == "PutItem" and request["TableName"] == world.notes.new.name:
                puts = [request]
            copied.update(put["Item"]["note_id"]["S"] for put in puts)
            if puts and not world.epochs.expired and next(breaks) % (40 // together) == 0:
                world.epochs.expired = True
                asyncio.get_running_loop().call_later(0.2, setattr, world.epochs, "expired", False)

        dynamo.before = breaks_off
        world.order_backfill(world.notes, together=together)
        with capture_logs() as logged:
            async with world.consuming(world.consumer(dynamo=dynamo)):
                await world.until(lambda: world.backfilled(world.notes))
                await world.drained()
            async with world.consuming(world.consumer(dynamo=dynamo)):
                await world.drained()
        assert world.equal(world.notes)
        assert len(copied) == 120
        assert copied.total() < 240
        told = Counter(line["event"] for line in logged)
        assert told["segment begins"] == len(world.segments(world.notes))
        assert told["backfill stands"] == 0
        assert told["backfill complete"] == 1

    run(go())


@pytest.mark.parametrize("together", [1, 10])
def test_in_place_rows_are_completed(world: World, together: int) -> None:
    """History of an in-place table gets the derived attributes that it lacks, and the parents of a
    page are read together; an orphan is listed, and keeps none of the others."""

    async def go() -> None:
        task = {"list_id": {"S": "l1"}, "task_id": {"S": "t1"}, "endpoint_id": {"S": "bolt-prod"}}
        world.put(world.tasks, Side.OLD, task)
        for number in range(30):
            world.put(
                world.steps,
                Side.OLD,
                {"task_id": {"S": "t1"}, "step_id": {"S": f"s{number}"}, "list_id": {"S": "l1"}},
            )
        for number in range(3):
            orphan = {"task_id": {"S": f"gone{number}"}, "list_id": {"S": "l1"}}
            world.put(world.steps, Side.OLD, orphan | {"step_id": {"S": "s"}})
        dynamo = world.wire()
        world.epochs.default = type(world.epochs.default)("", 1, Phase.OFF)
        async with world.consuming(world.consumer(dynamo=dynamo)):
            await world.drained()
            world.set_phase(world.steps, Phase.MIRROR_OLD)
            world.order_backfill(world.steps, together=together)
            await world.until(lambda: world.backfilled(world.steps))
            await world.drained()
        held = world.items(world.steps, Side.OLD).values()
        done = [item for item in held if "partition_key" in item]
        assert {item["partition_key"]["S"] for item in done} == {"aws-1#bolt"}
        assert (len(done), len(held)) == (30, 33)
        assert {repair.reason.split(":")[0] for repair in world.listed()} == {"orphan"}
        if together > 1:
            assert 3 <= dynamo.calls["TransactWriteItems"] <= 6
            assert dynamo.calls["UpdateItem"] <= 2, "only who is alone in his group goes alone"

    run(go())


def test_the_split_changes_while_it_runs_and_a_kill_in_between_costs_nothing(world: World) -> None:
    """Checkpoints of four segments are not believed for seven, nor those of seven for three: each
    split scans the whole table, no row is skipped, and the first consumer is killed meanwhile."""

    async def go() -> None:
        fill(world, 150)
        life = Life()
        dynamo = world.wire()

        async def dies(operation: str, request: Mapping[str, Any]) -> None:
            life.check()

        dynamo.before = dies
        world.order_backfill(world.notes, segments=4, writes=300.0)
        first = world.consumer("doomed", dynamo=dynamo, records=Mortal(world.records, life))
        async with world.consuming(first):
            await world.until(lambda: any(s.checkpoint for s in world.segments(world.notes)))
            world.order_backfill(world.notes, segments=7, writes=300.0, split=1)
            await world.until(lambda: bool(world.segments(world.notes, "run-1.1")))
            life.over = True
            world.order_backfill(world.notes, segments=3, split=2)
            async with world.consuming(world.consumer("heir")):
                await world.until(lambda: world.backfilled(world.notes, 3, "run-1.2"))
                await world.drained()
        assert not world.backfilled(world.notes, 4)
        assert sum(one.scanned for one in world.segments(world.notes, "run-1.2")) == 150
        assert world.equal(world.notes)

    run(go())


def test_what_is_there_already_is_read_and_not_written_again(world: World) -> None:
    """A split that comes after another spends no write on what that has copied."""

    async def go() -> None:
        fill(world, 100)
        dynamo = world.wire()
        world.order_backfill(world.notes)
        async with world.consuming(world.consumer(dynamo=dynamo)):
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
            dynamo.calls.clear()
            world.order_backfill(world.notes, segments=3, split=1)
            await world.until(lambda: world.backfilled(world.notes, 3, "run-1.1"))
            writes = ("PutItem", "UpdateItem", "BatchExecuteStatement", "TransactWriteItems")
            assert sum(dynamo.calls[name] for name in writes) == 0
        assert sum(one.present for one in world.segments(world.notes, "run-1.1")) == 100

    run(go())


@pytest.mark.parametrize("together", [1, 10])
def test_an_engine_that_throttles_slows_the_copy_and_loses_nothing(
    world: World, together: int
) -> None:
    """Scans and writes are refused in AWS's own words for a while: nothing is given up to the
    repair queue, nothing is skipped, and afterwards it goes on."""

    async def go() -> None:
        fill(world, 120)
        dynamo = world.wire()
        refused: Counter[str] = Counter()
        writes = ("PutItem", "UpdateItem", "TransactWriteItems")
        codes = itertools.cycle(sorted(THROTTLED))

        def met(units: str) -> bool:
            return world.metric(metric_names.BACKFILL_THROTTLED, "notes", units) > 0

        async def throttles(operation: str, request: Mapping[str, Any]) -> None:
            kind = {"Scan": "read"}.get(operation, "write" if operation in writes else "")
            # The stream's readers write too: until the backfill itself has met it.
            if kind and (refused[kind] < 8 or not met(kind)):
                refused[kind] += 1
                if operation == "TransactWriteItems" and refused[kind] % 2:
                    reasons = [{"Code": "None"}, {"Code": "ThrottlingError"}]
                    fields = {"CancellationReasons": reasons}
                    raise Refused("TransactionCanceledException", "no capacity", 400, fields)
                raise Refused(next(codes), "no capacity", 400, {})

        dynamo.before = throttles
        world.order_backfill(world.notes, together=together)
        async with world.consuming(world.consumer(dynamo=dynamo)):
            await world.until(lambda: world.backfilled(world.notes))
            await world.drained()
        assert world.equal(world.notes)
        assert world.waiting() == world.listed() == []
        segments = world.segments(world.notes)
        assert sum(one.scanned for one in segments) == 120
        # A half that was written shows on the stream, whose reader may bring the other half first.
        assert sum(one.copied + one.present for one in segments) == 120
        assert met("read")
        assert met("write")

    run(go())
