"""The sweep on a real engine: what it finds, what it does not call drift, what it cannot prove."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from dualwrite.core import metric_names
from dualwrite.core.errors import Refused, Unreachable
from dualwrite.core.items import OTHER, STAMP, key_of
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import (
    BACKFILL,
    SEGMENT,
    SWEPT,
    BackfillOrder,
    Segment,
    SweepResult,
    dump,
)
from dualwrite.core.spec import MigratedTable
from tests.fakes.verifying import (
    row,
    stamp,
    text,
    token,
)
from tests.sweep_scene import Scene, board, fill


@pytest.fixture
def scene(boto: Any, table_prefix: str) -> Scene:
    return Scene(boto, table_prefix)


def test_equal_tables_are_clean(scene: Scene) -> None:
    """Tables that hold the same rows are found clean, every key compared, nothing to repair."""
    fill(scene, 250)
    result = scene.sweep(scene.boards)
    assert result.clean
    assert (result.compared, result.rechecked, result.errors) == (250, 0, 0)
    assert (result.phase, result.epoch) == ("mirror/old", 1)
    assert scene.repairs.put_keys == []


def test_drift_is_found_and_named(scene: Scene) -> None:
    """Missing, extra and different keys are told apart, counted, shown and queued for repair."""
    fill(scene)
    lost, changed, extra = board(0), board(1), board(9)
    scene.drop(scene.boards, Side.NEW, row(scene.boards, lost).stored(Side.NEW))
    wrong = row(scene.boards, changed | text(title="other")).stored(Side.NEW)
    scene.put(scene.boards, Side.NEW, wrong)
    scene.put(scene.boards, Side.NEW, row(scene.boards, extra).stored(Side.NEW))
    result = scene.sweep(scene.boards)
    assert not result.clean
    assert (result.missing, result.extra, result.different, result.errors) == (1, 1, 1, 0)
    assert scene.repairs.tokens(scene.boards) == {
        token(scene.boards, Side.OLD, endpoint_id="acme-prod", board_id=f"b{n}") for n in (0, 1, 9)
    }
    for kind in ("missing", "extra", "different"):
        assert scene.metrics.values[metric_names.DRIFT, "boards", kind] == 1


def test_a_new_key_without_an_old_one_is_extra(scene: Scene) -> None:
    """A key of new that cannot be translated back is extra while old leads."""
    stray = text(partition_key="nobody#knows", board_id="b1")
    scene.put(scene.boards, Side.NEW, stray | text(**{STAMP: stamp(1)}))
    result = scene.sweep(scene.boards)
    assert (result.extra, result.errors) == (1, 0)
    assert [side for _, side, _, _ in scene.repairs.put_keys] == [Side.NEW]


def test_a_key_in_flight_is_no_drift(scene: Scene) -> None:
    """A follower that catches up between two looks was never different."""
    fill(scene)
    newer = row(scene.boards, board(2) | text(title="newer"), stamp(2))
    scene.put(scene.boards, Side.OLD, newer.stored(Side.OLD))
    key = key_of(newer.stored(Side.NEW), scene.boards.new.keys)
    looks = 0

    def arrive_late(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal looks
        asked = request.get("RequestItems", {}).get(scene.boards.new.name, {})
        looks += key in asked.get("Keys", ())
        if looks == 2:
            scene.put(scene.boards, Side.NEW, newer.stored(Side.NEW))

    scene.dynamo.before = arrive_late
    result = scene.sweep(scene.boards)
    assert result.clean
    assert result.rechecked == 1
    assert scene.repairs.put_keys == []


def test_a_busy_key_that_is_followed_is_no_drift(scene: Scene) -> None:
    """A key written all the time is proven by a follower that shows what the leader had before."""
    fill(scene)
    versions = [row(scene.boards, board(2) | text(title=f"v{n}"), stamp(n + 2)) for n in range(200)]
    written = 0

    def write_on(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal written
        if scene.boards.old.name not in (
            request.get("TableName"),
            *request.get("RequestItems", ()),
        ):
            return
        scene.put(scene.boards, Side.OLD, versions[written + 1].stored(Side.OLD))
        scene.put(scene.boards, Side.NEW, versions[written].stored(Side.NEW))
        written += 1

    scene.dynamo.before = write_on
    result = scene.sweep(scene.boards)
    assert result.clean
    assert result.rechecked == 1


def test_a_key_that_never_stands_still_proves_nothing(scene: Scene) -> None:
    """A leader that moves at every look over a follower that never follows: neither clean nor
    drift, but nothing proven, and the key is queued."""
    fill(scene)
    writes = 0

    def write_leader(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal writes
        writes += 1
        newer = row(scene.boards, board(2) | text(title=f"v{writes}"), stamp(writes + 2))
        scene.put(scene.boards, Side.OLD, newer.stored(Side.OLD))

    scene.dynamo.before = write_leader
    result = scene.sweep(scene.boards)
    assert result.done
    assert not result.clean
    assert (result.missing, result.extra, result.different, result.errors) == (0, 0, 0, 1)
    assert len(scene.repairs.put_keys) == 1


def test_left_and_carried_rows_are_no_drift(scene: Scene) -> None:
    """A row whose key cannot map stays on old, an orphan is carried bare: both are only counted."""
    scene.put(scene.boards, Side.OLD, board(1, tenant="unmapped") | text(**{STAMP: stamp(1)}))
    left = scene.sweep(scene.boards)
    assert left.clean
    assert (left.untransformable, left.orphans, left.compared) == (1, 0, 1)

    orphan = text(board_id="gone", card_id="c1", title="t")
    bare = {**orphan, OTHER: {"M": {}}, STAMP: {"S": stamp(1)}}
    scene.put(scene.cards, Side.OLD, bare)
    scene.put(scene.cards, Side.NEW, bare)
    carried = scene.sweep(scene.cards)
    assert carried.clean
    assert (carried.untransformable, carried.orphans) == (0, 1)


def test_a_carried_row_must_be_on_both_sides(scene: Scene) -> None:
    """An orphan that was not carried is missing."""
    bare = text(board_id="gone", card_id="c1", **{STAMP: stamp(1)}) | {OTHER: {"M": {}}}
    scene.put(scene.cards, Side.OLD, bare)
    result = scene.sweep(scene.cards)
    assert (result.missing, result.orphans) == (1, 1)


def test_a_hidden_map_that_comes_late_is_a_repair_and_no_drift(scene: Scene) -> None:
    """A leader's item without its hidden map is queued at once, and drift only if it stays so."""
    fill(scene)
    whole = row(scene.boards, board(3)).stored(Side.OLD)
    plain = {name: value for name, value in whole.items() if name != OTHER}
    scene.put(scene.boards, Side.OLD, plain)
    persisting = scene.sweep(scene.boards)
    assert (persisting.different, persisting.missing, persisting.extra) == (1, 0, 0)

    cured = False

    def cure(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal cured
        if len(scene.repairs.put_keys) > queued and not cured:
            cured = True
            scene.put(scene.boards, Side.OLD, whole)

    queued = len(scene.repairs.put_keys)
    scene.dynamo.before = cure
    assert scene.sweep(scene.boards, "run-2").clean
    assert cured


@pytest.mark.parametrize("operation", ["Scan", "BatchGetItem"])
def test_a_read_that_fails_proves_nothing(scene: Scene, operation: str) -> None:
    """Equal tables that could not be read in full are not called clean."""
    fill(scene)

    def fail(called: str, request: Mapping[str, Any]) -> None:
        if called == operation:
            raise Refused("AccessDeniedException", "no", 400, {})

    scene.dynamo.before = fail
    result = scene.sweep(scene.boards)
    assert result.done
    assert result.errors > 0
    assert not result.clean
    assert result.missing == 0


def test_a_read_that_fails_for_a_while_is_sent_again(scene: Scene) -> None:
    """Throttling and lost connections cost time, not the proof."""
    fill(scene)
    left = 6

    def stumble(operation: str, request: Mapping[str, Any]) -> None:
        nonlocal left
        if left:
            left -= 1
            raise Unreachable("no connection")

    scene.dynamo.before = stumble
    assert scene.sweep(scene.boards).clean


def test_after_the_flip_new_is_the_measure(scene: Scene) -> None:
    """When new leads, what only new has is missing on old, and what only old has is extra."""
    fill(scene)
    scene.epochs.move("boards", Phase.ATOMIC_NEW)
    scene.put(scene.boards, Side.OLD, board(1, tenant="unmapped"))
    assert scene.sweep(scene.boards).clean
    scene.drop(scene.boards, Side.OLD, board(1))
    scene.drop(scene.boards, Side.NEW, row(scene.boards, board(2)).stored(Side.NEW))
    result = scene.sweep(scene.boards, "run-2")
    assert (result.missing, result.extra, result.different) == (1, 1, 0)
    assert (result.untransformable, result.epoch) == (1, 2)


def test_after_the_flip_a_row_without_an_own_source_is_equal(scene: Scene) -> None:
    """What the old dialect never said, because a parent did, is not asked of old afterwards."""
    scene.parents.tenants["b1"] = "acme-prod"
    card = text(board_id="b1", card_id="c1")
    derived = text(endpoint_id="aws-1", part_id="acme", partition_key="aws-1#acme")
    stamped = text(**{STAMP: stamp(1)})
    scene.put(scene.cards, Side.OLD, card | stamped | {OTHER: {"M": derived}})
    scene.put(scene.cards, Side.NEW, card | derived | stamped | {OTHER: {"M": {}}})
    assert scene.sweep(scene.cards).clean
    scene.epochs.move("cards", Phase.ATOMIC_NEW)
    assert scene.sweep(scene.cards, "run-2").clean


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.DONE])
@pytest.mark.parametrize("sweep", [Scene.sweep, Scene.sweep_in_hands])
def test_an_in_place_table_needs_its_derived_attributes(
    scene: Scene, sweep: Callable[[Scene, MigratedTable], SweepResult], phase: Phase
) -> None:
    """In place, derived attributes that lack or are wrong are named and queued for repair, in done
    too, where an upsert does not give them; an orphan is only counted."""
    scene.epochs.move("votes", phase)
    scene.parents.tenants["b1"] = "acme-prod"
    vote = text(board_id="b1", card_id="c1")
    derived = text(endpoint_id="aws-1", part_id="acme", partition_key="aws-1#acme")
    scene.put(scene.votes, Side.OLD, vote | derived | text(vote_id="right"))
    scene.put(scene.votes, Side.OLD, vote | text(vote_id="lacking"))
    wrong = derived | text(part_id="birch")
    scene.put(scene.votes, Side.OLD, vote | wrong | text(vote_id="wrong"))
    scene.put(scene.votes, Side.OLD, text(board_id="gone", card_id="c1", vote_id="orphan"))
    result = sweep(scene, scene.votes)
    assert (result.compared, result.missing, result.different, result.extra) == (4, 1, 1, 0)
    assert (result.orphans, result.untransformable, result.errors) == (1, 0, 0)
    assert scene.repairs.tokens(scene.votes) == {
        token(scene.votes, Side.OLD, card_id="c1", vote_id=vote_id)
        for vote_id in ("lacking", "wrong")
    }


@pytest.mark.parametrize("sweep", [Scene.sweep, Scene.sweep_in_hands])
def test_nothing_is_repaired_that_nobody_follows(
    scene: Scene, sweep: Callable[[Scene, MigratedTable], SweepResult]
) -> None:
    """A sweep whose table has come to done finds what old lacks, and queues nothing."""
    fill(scene)
    scene.drop(scene.boards, Side.OLD, board(0))
    scene.epochs.move("boards", Phase.DONE)
    assert sweep(scene, scene.boards).missing == 1
    assert scene.repairs.put_keys == []


def test_a_sweep_names_the_backfill_it_came_after(scene: Scene) -> None:
    """Only a backfill whose segments were all done before the sweep began is named."""
    fill(scene)
    order = BackfillOrder("fill-1", "run", 2, 0)
    scene.records.put(BACKFILL, "boards", dump(order))
    scene.records.put(SEGMENT, "boards/fill-1/0000", dump(Segment(done=True)))
    scene.records.put(SEGMENT, "boards/fill-1/0001", dump(Segment()))
    assert scene.sweep(scene.boards, "run-1").backfill_run == ""
    scene.records.put(SEGMENT, "boards/fill-1/0001", dump(Segment(done=True)))
    assert scene.sweep(scene.boards, "run-2").backfill_run == "fill-1"


def test_a_sweep_whose_leader_changes_begins_again(scene: Scene) -> None:
    """One change of the lead costs a new start, a second one the proof."""
    fill(scene)
    moves = [Phase.ATOMIC_NEW]

    def flip(operation: str, request: Mapping[str, Any]) -> None:
        if moves:
            scene.epochs.move("boards", moves.pop(0))

    scene.dynamo.before = flip
    result = scene.sweep(scene.boards)
    assert result.clean
    assert (result.phase, result.compared) == ("atomic/new", 5)

    def flip_always(operation: str, request: Mapping[str, Any]) -> None:
        leads_new = scene.epochs.current("boards").phase is Phase.ATOMIC_NEW
        scene.epochs.move("boards", Phase.ATOMIC_OLD if leads_new else Phase.ATOMIC_NEW)

    scene.dynamo.before = flip_always
    again = scene.sweep(scene.boards, "run-2")
    assert again.done
    assert again.errors >= 1


def test_a_sweep_in_many_hands_finds_what_one_finds(scene: Scene) -> None:
    """Parts are shared over a queue: drift on either side is found and named, once, and two workers
    scan each segment once between them."""
    fill(scene, 40)
    scene.put(scene.boards, Side.OLD, board(90))
    scene.put(scene.boards, Side.NEW, row(scene.boards, board(91), stamp(1)).stored(Side.NEW))
    scene.drop(scene.boards, Side.NEW, row(scene.boards, board(3), stamp(1)).stored(Side.NEW))
    scans: list[str] = []

    def note(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "Scan":
            scans.append(f"{request['TableName']}/{request['Segment']}")

    scene.dynamo.before = note
    result = scene.sweep_in_hands(scene.boards)
    assert (result.missing, result.extra, result.different, result.errors) == (2, 1, 0, 0)
    assert result.compared == 42
    assert len(scans) == len(set(scans)) == 8


def test_a_run_of_a_dead_process_is_begun_again(scene: Scene) -> None:
    """A result that stands still is taken over and the run begun from its start."""
    fill(scene)
    scene.records.put(SWEPT, "boards", dump(SweepResult("run-1", started_ms=1, errors=7)))
    result = scene.sweep(scene.boards)
    assert result.clean
    assert result.started_ms > 1


def test_two_sweepers_share_the_orders(scene: Scene) -> None:
    """One run has one owner: two processes together compare each table once."""
    fill(scene)
    for table in scene.migration.tables:
        scene.order(table)
    scans: list[str] = []

    def note(operation: str, request: Mapping[str, Any]) -> None:
        if operation == "Scan":
            scans.append(f"{request['TableName']}/{request['Segment']}")

    scene.dynamo.before = note

    async def go() -> None:
        sweepers = [scene.sweeper("one"), scene.sweeper("two")]
        serving: list[Coroutine[Any, Any, None]] = [sweeper.run() for sweeper in sweepers]
        tasks = [asyncio.create_task(run) for run in serving]
        for table in scene.migration.tables:
            await scene.until_done(table)
        for sweeper in sweepers:
            await sweeper.stop()
        await asyncio.gather(*tasks)

    asyncio.run(go())
    assert len(scans) == len(set(scans))
