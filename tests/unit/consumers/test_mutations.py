"""Which records are told to the feed, and under which id."""

from itertools import product

import pytest

from consumers.changes import Change
from consumers.mutations import Mutations
from dualwrite.core.items import Item
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.stamps import FLOOR, Stamp
from tests.consumer_harness import a_migration

TASK: Item = {"list_id": {"S": "l1"}, "task_id": {"S": "t1"}}
TASKS = a_migration("").by_name["tasks"]
LEAD_EPOCH = 4
OLD_LEADS = TableState("tasks", 3, Phase.ATOMIC_OLD)
NEW_LEADS = TableState("tasks", LEAD_EPOCH, Phase.ATOMIC_NEW, lead_epoch=LEAD_EPOCH)
MIRROR = TableState("tasks", 2, Phase.MIRROR_OLD)


def stamp(epoch: int, operation: int = 1) -> str:
    return str(Stamp(1, 0, epoch, "writer-1", operation))


def written(epoch: int) -> Change:
    """A write that was decided under an epoch."""
    return Change("7", 1, TASK, None, _stamped(stamp(epoch)))


def removed(before: str, sequence: str = "7") -> Change:
    return Change(sequence, 1, TASK, _stamped(before), None)


def _stamped(text: str) -> Item:
    return TASK | {"dw_stamp": {"S": text}, "dw_other": {"M": {}}}


def told(change: Change, side: Side, state: TableState) -> str | None:
    event = Mutations().event(TASKS, side, state, change)
    return None if event is None else str(event.body["id"])


@pytest.mark.parametrize("change", [written(3), written(LEAD_EPOCH), removed(stamp(2))])
def test_a_write_around_a_flip_is_told_whenever_its_records_are_read(change: Change) -> None:
    """Each of its two records may be read before or after the consumer hears of the flip. At least
    one is told, and if both are, under one id."""
    for states in product((OLD_LEADS, NEW_LEADS), repeat=2):
        ids = {told(change, side, state) for side, state in zip(Side, states, strict=True)}
        assert len(ids - {None}) == 1


def test_what_the_leader_decided_is_told_by_it_alone() -> None:
    """The follower's record of a write is no second one, nor is what follows a removal."""
    for change in (written(2), removed(stamp(2))):
        assert told(change, Side.OLD, MIRROR) is not None
        assert told(change, Side.NEW, MIRROR) is None
    assert told(written(3), Side.NEW, OLD_LEADS) is None


def test_removals_that_no_stamp_tells_apart_have_ids_of_their_own() -> None:
    """An item without a stamp, or with the floor's, may be put and removed again and again."""
    bare = Change("8", 1, TASK, TASK, None)
    ids = {told(change, Side.OLD, MIRROR) for change in (removed(FLOOR), removed(FLOOR, "9"), bare)}
    assert len(ids) == 3
