"""Reconcile on a real engine, with somebody else's writes and lost answers in every gap."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from consumers.effort import Effort
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Result, Work
from dualwrite.adapters.parents import ParentRows
from dualwrite.core.dirty_keys import DirtyKey, dirty_key
from dualwrite.core.errors import LeaseExpired, OutcomeUnknown, Refused
from dualwrite.core.items import OTHER, STAMP
from dualwrite.core.phases import Phase, Side
from dualwrite.core.stamps import FLOOR
from tests.consumer_harness import World, note, run

WRITES = ("PutItem", "DeleteItem", "UpdateItem")


class Scene:
    def __init__(self, world: World) -> None:
        self.world = world
        self.dynamo = world.wire()
        self.reconciler = Reconciler(
            self.dynamo,
            world.records,
            world.epochs,
            ParentRows(self.dynamo, world.migration, world.epochs, world.clock),
            Poison(world.repairs),
            world.metrics,
            Effort(world.clock, Random(1), world.pace),
        )

    async def reconcile(self, number: int = 1) -> Result:
        dirty = dirty_key(self.world.notes, note(number), Side.OLD)
        return await self.reconciler.reconcile(self.world.notes, Work(dirty))


@pytest.fixture
def scene(engine: str, boto: Any, table_prefix: str) -> Scene:
    return Scene(World(engine, boto, table_prefix))


def test_a_bare_row_is_annotated_and_copied(scene: Scene) -> None:
    """Both sides end with the hidden map and one stamp, and a second run writes nothing."""

    async def go() -> None:
        world = scene.world
        world.put(world.notes, Side.OLD, note(1, title="bare"))
        assert await scene.reconcile() is Result.CURED
        [old] = world.items(world.notes, Side.OLD).values()
        [new] = world.items(world.notes, Side.NEW).values()
        assert old[STAMP] == new[STAMP] == {"S": FLOOR}
        assert old[OTHER]["M"]["partition_key"] == new["partition_key"] == {"S": "aws-1#acme"}
        assert new[OTHER]["M"] == {"endpoint_id": {"S": "acme-prod"}}
        scene.dynamo.calls.clear()
        assert await scene.reconcile() is Result.CLEAN
        assert not any(scene.dynamo.calls[operation] for operation in WRITES)

    run(go())


@pytest.mark.parametrize("side", list(Side))
def test_a_write_in_the_gap_is_never_overwritten(scene: Scene, side: Side) -> None:
    """Whoever writes between the reads and the cure is seen; it is tried again and ends right."""

    async def go() -> None:
        world = scene.world
        world.mirrored(world.notes, note(1, title="one"), Side.OLD)
        meddled = False

        async def meddle(operation: str, request: Mapping[str, Any]) -> None:
            nonlocal meddled
            if operation == "PutItem" and not meddled:
                meddled = True
                sides = (Side.OLD, Side.NEW) if side is Side.NEW else (Side.OLD,)
                await asyncio.to_thread(world.mirrored, world.notes, note(1, title="two"), *sides)

        scene.dynamo.before = meddle
        await scene.reconcile()
        # A leader's write after the reads leaves its own record, which brings the key back.
        await scene.reconcile()
        assert world.equal(world.notes)
        [new] = world.items(world.notes, Side.NEW).values()
        assert new["title"] == {"S": "two"}

    run(go())


def test_a_lost_answer_is_found_out_by_looking_again(scene: Scene) -> None:
    """Unknown is neither applied nor failed: the key is compared anew."""

    async def go() -> None:
        world = scene.world
        world.mirrored(world.notes, note(1, title="one"), Side.OLD)
        inner = scene.dynamo._inner.call
        lost = 0

        async def loses(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
            nonlocal lost
            answer = await inner(operation, request)
            if operation == "PutItem" and not lost:
                lost += 1
                raise OutcomeUnknown("no answer came")
            return answer

        scene.dynamo._inner.call = loses  # type: ignore[method-assign]
        assert await scene.reconcile() is Result.CLEAN
        assert lost == 1
        assert world.equal(world.notes)

    run(go())


def test_an_engine_that_refuses_for_ever_ends_as_failed(scene: Scene) -> None:
    """Bounded tries, and never a claim that the key is clean."""

    async def go() -> None:
        world = scene.world
        world.mirrored(world.notes, note(1), Side.OLD)

        async def throttles(operation: str, request: Mapping[str, Any]) -> None:
            if operation == "PutItem":
                raise Refused("ProvisionedThroughputExceededException", "", 400, {})

        scene.dynamo.before = throttles
        assert await scene.reconcile() is Result.FAILED
        assert world.epochs.in_flight == 0

    run(go())


def test_a_row_that_new_refuses_is_listed(scene: Scene) -> None:
    """New can refuse an item that old took, for the type of an index key: named and kept."""

    async def go() -> None:
        world = scene.world
        world.mirrored(world.notes, note(1), Side.OLD)

        async def refuses(operation: str, request: Mapping[str, Any]) -> None:
            if operation == "PutItem":
                raise Refused("ValidationException", "Type mismatch for Index Key", 400, {})

        scene.dynamo.before = refuses
        assert await scene.reconcile() is Result.LEFT
        [listed] = world.listed()
        assert listed.reason.startswith("refused")

    run(go())


def test_without_a_lease_nothing_is_written(scene: Scene) -> None:
    """And whoever asked hears of it."""

    async def go() -> None:
        world = scene.world
        world.mirrored(world.notes, note(1), Side.OLD)
        world.epochs.expired = True
        with pytest.raises(LeaseExpired):
            await scene.reconcile()
        assert not scene.dynamo.calls

    run(go())


@pytest.mark.parametrize("phase", [Phase.OFF, Phase.DONE])
def test_outside_of_mirror_and_atomic_nothing_is_done(scene: Scene, phase: Phase) -> None:
    """There is no follower then."""

    async def go() -> None:
        world = scene.world
        world.set_phase(world.notes, phase)
        world.mirrored(world.notes, note(1), Side.OLD)
        assert await scene.reconcile() is Result.IDLE
        assert not world.items(world.notes, Side.NEW)

    run(go())


def test_many_keys_are_settled_by_two_bulk_reads(scene: Scene) -> None:
    """Clean keys cost no read of their own; only what differs is worked on one by one."""

    async def go() -> None:
        world = scene.world
        for number in range(40):
            world.mirrored(world.notes, note(number, title="t"))
        world.delete(world.notes, Side.NEW, world.row(world.notes, note(7)).stored(Side.NEW))
        works = [Work(dirty_key(world.notes, note(number), Side.OLD)) for number in range(42)]
        results = await scene.reconciler.reconcile_many(world.notes, works)
        assert results[7] is Result.CURED
        assert results.count(Result.CLEAN) == 41
        assert scene.dynamo.calls["BatchGetItem"] == 2
        assert scene.dynamo.calls["GetItem"] == 2
        assert world.equal(world.notes)

    run(go())


def test_a_copy_whose_key_new_alone_knows_is_removed(scene: Scene) -> None:
    """The leader has nothing that could stand there."""

    async def go() -> None:
        world = scene.world
        strange = {"partition_key": {"S": "no#where"}, "note_id": {"S": "n1"}}
        world.put(world.notes, Side.NEW, strange)
        dirty = dirty_key(world.notes, strange, Side.NEW)
        assert dirty == DirtyKey(Side.NEW, dirty.token)
        assert await scene.reconciler.reconcile(world.notes, Work(dirty)) is Result.CURED
        assert not world.items(world.notes, Side.NEW)

    run(go())
