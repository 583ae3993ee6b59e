"""Which records are told to the feed, under which id, and in which pieces."""

import asyncio
import json
from itertools import product
from random import Random
from typing import Any

import pytest

from consumers.changes import Change
from consumers.effort import Effort
from consumers.mutations import BATCH_BYTES_MAX, BATCH_MAX, Mutations, Teller
from consumers.pace import Pace
from consumers.prefix import Mark
from dualwrite.core.items import Item
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.stamps import FLOOR, Stamp
from tests.consumer_harness import a_migration
from tests.fakes.clock import VirtualClock
from tests.fakes.feed import MemoryFeed

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


TAKES_BYTES = 1000
PACE = Pace()


def grown(number: int, length: int) -> Change:
    """A write that makes an item so long."""
    return Change(str(number), 1, TASK, TASK, TASK | {"text": {"S": "x" * length}})


def told_by_teller(feed: MemoryFeed, changes: list[Change]) -> list[dict[str, Any]]:
    """What the feed has of these once a teller with images has released all their marks."""

    async def go() -> None:
        clock = VirtualClock()
        effort = Effort(clock, Random(1), PACE)
        teller = Teller(feed, Mutations(images=True), clock, effort, PACE)
        marks = [Mark(change.sequence, 1) for change in changes]
        for change, mark in zip(changes, marks, strict=True):
            teller.note(TASKS, Side.OLD, MIRROR, change, mark)
        assert all(mark.held for mark in marks)
        telling = asyncio.create_task(teller.run())
        await clock.until(lambda: not any(mark.held for mark in marks))
        telling.cancel()

    asyncio.run(go())
    return [json.loads(event.body) for call in feed.calls for event in call]


def test_an_event_too_large_for_the_feed_is_told_without_its_images() -> None:
    """It says so, keeps its place, and holds up nobody: not even those told with it come twice."""
    feed = MemoryFeed(TAKES_BYTES)
    events = told_by_teller(feed, [grown(1, 10), grown(2, TAKES_BYTES), grown(3, 20)])
    assert feed.refusals == 0
    assert [event["id"] for event in events] == [f"tasks/old/{number}" for number in (1, 2, 3)]
    for event, length in ((events[0], 10), (events[2], 20)):
        assert event["after"]["text"]["S"] == "x" * length
        assert "images" not in event
    assert events[1]["images"] == "too large"
    assert events[1].keys() == (events[0].keys() - {"before", "after"}) | {"images"}


def test_a_feed_that_takes_less_than_it_said_is_told_less() -> None:
    """The settings of a topic change while consumers run."""
    feed = MemoryFeed(TAKES_BYTES, says_bytes=TAKES_BYTES * 4)
    events = told_by_teller(feed, [grown(1, TAKES_BYTES), grown(2, 10)])
    assert feed.refusals == 2
    assert [event.get("images") for event in events] == ["too large", None]


@pytest.mark.parametrize("length", [BATCH_BYTES_MAX // 3, BATCH_BYTES_MAX * 2])
def test_what_is_told_in_one_call_is_bounded_in_bytes(length: int) -> None:
    """Unless it is one event: a call has only so much time, and what fails is told again whole."""
    feed = MemoryFeed(BATCH_BYTES_MAX * 3)
    told_by_teller(feed, [grown(number, length) for number in range(7)])
    sizes = [sum(event.size_bytes for event in call) for call in feed.calls]
    assert [len(call) for call in feed.calls] == (
        [2, 2, 2, 1] if length < BATCH_BYTES_MAX else [1] * 7
    )
    assert all(size <= BATCH_BYTES_MAX for size in sizes) or length > BATCH_BYTES_MAX


def test_what_is_told_in_one_call_is_bounded_in_number() -> None:
    """Small events too."""
    feed = MemoryFeed(TAKES_BYTES)
    told_by_teller(feed, [grown(number, 1) for number in range(BATCH_MAX + 1)])
    assert [len(call) for call in feed.calls] == [BATCH_MAX, 1]
